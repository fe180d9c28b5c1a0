{#- The account's wall clock; an account without a zone has the default one. -#}
{% macro local_time(moment, zone) -%}
{{ moment }} at time zone coalesce({{ zone }}, '{{ var("default_time_zone") }}')
{%- endmacro %}

{#- The day of a message on that clock: of what is known of its time, if it was never sent. -#}
{% macro local_day(message, zone) -%}
({{ local_time("coalesce(" ~ message ~ ".sent_at, " ~ message ~ ".confirmed_at, " ~ message ~ ".first_seen_at)", zone) }})::date
{%- endmacro %}
