with

source as (

    select * from {{ source('volt', 'waves') }}

),

renamed as (

    select
        id as wave_id,
        scheduled_time,
        {{ tolerant_time('scheduled_time') }} as scheduled_at,
        name,
        account_id,
        organization_id,
        body,
        media as media_raw,
        {{ flat_media('media') }} as media,
        jsonb_array_length({{ flat_media('media') }}) as media_count,
        sent_by,
        total_messages,
        total_messages_delivered as total_delivered,
        total_messages_failed as total_failed,
        type,
        first_seen_at,
        loaded_at,
        run_id,
        deleted_at,
        deleted_at is not null as is_deleted
    from source

)

select * from renamed
