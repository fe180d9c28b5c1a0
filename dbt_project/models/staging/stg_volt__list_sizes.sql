with

source as (

    select * from {{ source('volt', 'list_sizes') }}

),

renamed as (

    select
        list_id,
        size,
        observed_at,
        run_id
    from source

)

select * from renamed
