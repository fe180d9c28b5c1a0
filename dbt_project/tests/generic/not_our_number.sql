{% test not_our_number(model, column_name) %}
{#- Fails for each value that is one of our own numbers, of any account, pool numbers included. -#}
select candidate.{{ column_name }} as our_number
from {{ model }} as candidate
inner join {{ ref('int_own_numbers') }} as own_numbers
    on candidate.{{ column_name }} = own_numbers.phone_number
{% endtest %}
