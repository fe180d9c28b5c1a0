with

source as (

    select * from {{ source('volt', 'organizations') }}

),

renamed as (

    select
        id as organization_id,
        company_name,
        domain,
        size,
        industry,
        created_at,
        last_updated_at,
        is_on_free_trial,
        is_active,
        first_seen_at,
        loaded_at,
        run_id,
        deleted_at,
        deleted_at is not null as is_deleted
    from source

)

select * from renamed
