{#- Seconds that an account was open from the calendar's first day until a moment of the calendar's row. -#}
{% macro open_seconds_until(calendar, moment) -%}
(
                {{ calendar }}.seconds_before
                + coalesce(
                    greatest(extract(epoch from least({{ moment }}, {{ calendar }}.closes_at) - {{ calendar }}.opens_at), 0),
                    0
                )
            )
{%- endmacro %}
