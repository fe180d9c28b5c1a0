{% test e164(model, column_name) %}
{#- Fails for each value that is not a phone number in E.164: +, a country code that starts 1 to 9, up to 15 digits. -#}
select {{ column_name }} as not_e164
from {{ model }}
where
    {{ column_name }} is null
    or {{ column_name }} !~ '^\+[1-9][0-9]{6,14}$'
{% endtest %}
