{% test object_of_strings(model, column_name) %}
{#- Fails for each JSON value that is not an object with text for every key: Volt's custom fields hold nothing else. -#}
with

objects as (

    select
        {{ column_name }} as given,
        case
            when jsonb_typeof({{ column_name }}) = 'object' then {{ column_name }}
            else '{"not an object": null}'::jsonb
        end as object
    from {{ model }}
    where {{ column_name }} is not null

)

select given
from objects
where jsonb_path_exists(object, '$.* ? (@.type() != "string")')
{% endtest %}
