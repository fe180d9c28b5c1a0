with

source as (

    select * from {{ source('volt', 'message_statuses') }}

),

renamed as (

    select
        message_id,
        status,
        status_description,
        confirmed_at,
        observed_at,
        run_id
    from source

)

select * from renamed
