with

source as (

    select * from {{ source('volt', 'lists') }}

),

renamed as (

    select
        id as list_id,
        created_by,
        name as list_name,
        created_at,
        last_updated_at,
        account_id,
        size,
        coalesce(nullif(query_source_list_name, ''), 'All') as source_list_name,
        nullif(query_name_search_term, '') as name_search_term,
        query_custom_fields as rules_raw,
        {{ list_rules('query_custom_fields') }} as rules,
        first_seen_at,
        loaded_at,
        run_id,
        deleted_at,
        deleted_at is not null as is_deleted
    from source

)

select * from renamed
