with

source as (

    select * from {{ source('volt', 'contact_lists') }}

),

renamed as (

    select
        contact_id,
        list_id,
        valid_from as joined_at,
        valid_to as left_at,
        first_seen_at,
        loaded_at,
        run_id
    from source

)

select * from renamed
