{% test unique_together(model, columns) %}
{#- Fails for each combination of the columns that more than one row carries, nulls left aside. -#}
select
    {{ columns | join(',\n    ') }},
    count(*) as rows_found
from {{ model }}
where {% for column in columns %}{{ column }} is not null{{ ' and ' if not loop.last }}{% endfor %}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
