with

source as (

    select * from {{ source('volt', 'accounts') }}

),

renamed as (

    select
        id as account_id,
        organization_id,
        created_by,
        name as account_name,
        primary_phone,
        created_at,
        last_updated_at,
        call_forwarding_number,
        location,
        first_seen_at,
        loaded_at,
        run_id,
        deleted_at,
        deleted_at is not null as is_deleted
    from source

)

select * from renamed
