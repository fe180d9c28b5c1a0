with

source as (

    select * from {{ source('volt', 'contact_changes') }}

),

renamed as (

    select
        contact_id,
        name,
        phone_number as contact_phone,
        mapped_number,
        custom_fields as custom_fields_raw,
        {{ custom_field_object('custom_fields') }} as custom_fields,
        blocked,
        observed_at,
        run_id
    from source

)

select * from renamed
