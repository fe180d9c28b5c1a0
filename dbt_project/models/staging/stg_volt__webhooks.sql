with

source as (

    select * from {{ source('volt', 'webhooks') }}

),

renamed as (

    select
        id as webhook_id,
        organization_id,
        url,
        created_at,
        last_updated_at,
        first_seen_at,
        loaded_at,
        run_id,
        deleted_at,
        deleted_at is not null as is_deleted
    from source

)

select * from renamed
