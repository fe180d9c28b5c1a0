with

source as (

    select * from {{ source('volt', 'wave_lists') }}

),

renamed as (

    select
        wave_id,
        list_id,
        list_name,
        first_seen_at,
        loaded_at,
        run_id
    from source

)

select * from renamed
