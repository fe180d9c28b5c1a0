{% test known_account(model, column_name) %}
{#- Fails for each value that is not the primary phone of an account that the pipeline reads. -#}
select candidate.{{ column_name }} as unknown_account
from {{ model }} as candidate
left join {{ ref('accounts') }} as accounts
    on candidate.{{ column_name }} = accounts.primary_phone
    and not accounts.is_deleted
where accounts.account_id is null
{% endtest %}
