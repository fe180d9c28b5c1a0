with

source as (

    select * from {{ source('volt', 'wave_totals') }}

),

renamed as (

    select
        wave_id,
        total_messages,
        total_messages_delivered as total_delivered,
        total_messages_failed as total_failed,
        observed_at,
        run_id
    from source

)

select * from renamed
