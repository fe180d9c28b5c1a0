{#- One person in two accounts is two conversations. Null where either half is unknown. -#}
{% macro conversation_id(account_id, contact_phone) -%}
md5({{ account_id }} || '|' || {{ contact_phone }})
{%- endmacro %}

{#- A single key out of several columns, of which any may be null. -#}
{% macro surrogate_key(columns) -%}
md5({% for column in columns %}coalesce({{ column }}, ''){{ " || '|' || " if not loop.last }}{% endfor %})
{%- endmacro %}
