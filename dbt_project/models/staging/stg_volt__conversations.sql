with

source as (

    select * from {{ source('volt', 'conversations') }}

),

renamed as (

    select
        account_id,
        contact_phone,
        messages_total,
        first_seen_at,
        loaded_at,
        run_id
    from source

)

select * from renamed
