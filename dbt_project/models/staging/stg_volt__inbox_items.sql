with

source as (

    select * from {{ source('volt', 'inbox_items') }}

),

renamed as (

    select
        account_id,
        contact_phone,
        contact_id,
        last_message,
        is_unread,
        last_message_time,
        first_seen_at,
        loaded_at,
        run_id
    from source

)

select * from renamed
