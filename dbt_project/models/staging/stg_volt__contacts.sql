with

source as (

    select * from {{ source('volt', 'contacts') }}

),

renamed as (

    select
        id as contact_id,
        account_id,
        organization_id,
        phone_number as contact_phone,
        name,
        mapped_number,
        custom_fields as custom_fields_raw,
        {{ custom_field_object('custom_fields') }} as custom_fields,
        created_at,
        last_updated_at,
        blocked,
        first_seen_at,
        loaded_at,
        run_id,
        deleted_at,
        deleted_at is not null as is_deleted
    from source

)

select * from renamed
