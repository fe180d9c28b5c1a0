with

source as (

    select * from {{ source('volt_ops', 'webhook_events') }}

),

renamed as (

    select
        id as event_id,
        event_type,
        direction,
        message_id,
        account_id,
        contact_phone,
        received_at
    from source

)

select * from renamed
