with

source as (

    select * from {{ source('volt', 'account_numbers') }}

),

renamed as (

    select
        account_id,
        phone_number,
        evidence,
        first_seen_at,
        loaded_at,
        run_id
    from source

)

select * from renamed
