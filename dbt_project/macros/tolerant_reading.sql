{#- Reading what Volt leaves open. None of these may ever raise: one odd value must not stop every mart. A CASE guards
    each cast, because Postgres promises the order of evaluation nowhere else. -#}

{#- An array of {key, type, value} as an object {key: value}. -#}
{% macro custom_field_object(column) -%}
coalesce(
            case
                when jsonb_typeof({{ column }}) = 'array' then (
                    select jsonb_object_agg(field ->> 'key', field -> 'value')
                    from jsonb_array_elements({{ column }}) as field
                    where field ->> 'key' is not null
                )
            end,
            '{}'::jsonb
        )
{%- endmacro %}

{#- Media as a flat array of strings: lax JSON paths open `["a"]` and `[["a"]]` alike. -#}
{% macro flat_media(column) -%}
case
            when {{ column }} is null or {{ column }} = '[]'::jsonb then '[]'::jsonb
            else jsonb_path_query_array({{ column }}, '$[*][*] ? (@.type() == "string" && @ != "")')
        end
{%- endmacro %}

{#- List rules with the names of the exports. The value is a JSON-serialised string ("\"gold\"", "5"), or in one of
    Volt's examples the bare number: both come out as the text that a person would write (gold, 5). -#}
{% macro list_rules(column) -%}
coalesce(
            case
                when jsonb_typeof({{ column }}) = 'array' then (
                    select
                        jsonb_agg(
                            jsonb_build_object(
                                'field', rule ->> 'field',
                                'operator', rule ->> 'operator',
                                'value', case
                                    when rule ->> 'queryValue' ~ '^"([^"\\[:cntrl:]]|\\["\\/bfnrt])*"$'
                                        then (rule ->> 'queryValue')::jsonb #>> '{}'
                                    else rule ->> 'queryValue'
                                end
                            )
                            order by position
                        )
                    from jsonb_array_elements({{ column }}) with ordinality as listed (rule, position)
                )
            end,
            '[]'::jsonb
        )
{%- endmacro %}

{#- RFC 3339, or 'YYYY-MM-DD HH:MM:SS' (UTC where no zone is given), else null: 30 February is null too. -#}
{% macro tolerant_time(column) -%}
{%- set text = "btrim(" ~ column ~ ")" -%}
case
            when {{ text }} ~* '^[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[t ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(z|[+-](0\d|1[0-4]):?[0-5]\d)?$'
                then case
                    when substr({{ text }}, 9, 2)::integer > extract(
                        day from (substr({{ text }}, 1, 8) || '01')::date + interval '1 month' - interval '1 day'
                    ) then null
                    when {{ text }} ~* '(z|[+-]\d\d:?\d\d)$' then {{ text }}::timestamptz
                    else {{ text }}::timestamp at time zone 'UTC'
                end
        end
{%- endmacro %}
