{% test list_rules(model, column_name) %}
{#- Fails for each list whose rules are not an array of {field, operator, value} with one of Volt's eleven operators. -#}
with

arrays as (

    select
        {{ column_name }} as given,
        case
            when jsonb_typeof({{ column_name }}) = 'array' then {{ column_name }}
            else '[null]'::jsonb
        end as rules
    from {{ model }}
    where {{ column_name }} is not null

)

select arrays.given
from arrays
cross join lateral jsonb_array_elements(arrays.rules) as rule
where
    coalesce(rule ->> 'field', '') = ''
    or jsonb_typeof(rule -> 'field') <> 'string'
    or coalesce(rule ->> 'operator', '') not in (
        'gt', 'gte', 'lt', 'lte', 'eq', 'neq', 'bf', 'af', 'is', 'has', 'nc'
    )
    or coalesce(jsonb_typeof(rule -> 'value'), 'null') not in ('string', 'number', 'boolean')
{% endtest %}
