with

source as (

    select * from {{ source('volt', 'messages') }}

),

renamed as (

    select
        id as message_id,
        nullif(legacy_id, '') as legacy_id,
        account_id,
        organization_id,
        nullif(to_number, '') as to_number,
        nullif(from_number, '') as from_number,
        status,
        status_description,
        media as media_raw,
        {{ flat_media('media') }} as media,
        jsonb_array_length({{ flat_media('media') }}) as media_count,
        body,
        sent_at,
        confirmed_at,
        wave_id,
        contact_id,
        contact_phone,
        is_final,
        first_seen_at,
        loaded_at,
        run_id,
        deleted_at,
        deleted_at is not null as is_deleted,
        hashtextextended(coalesce(nullif(legacy_id, ''), id), 0) as carrier_hash,
        hash_record_extended(source, 0) as row_hash
    from source

)

select * from renamed
