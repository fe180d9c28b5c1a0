{% test near_last_published(model, published) %}
{#- Fails when the candidate is empty beside a published export that is not, or differs from it in size by more than
    var export_change_allowed (and by more than var export_rows_allowed rows). The published table is read as it stands,
    not by ref: it is built after this test. A change that is meant passes once with
    --vars '{export_change_allowed: 9}'. -#}
{%- set last = adapter.get_relation(database=model.database, schema=model.schema, identifier=published) if execute -%}
with

candidate as (

    select count(*) as rows_now from {{ model }}

),

last_published as (

    {% if last %}
    select count(*) as rows_before from {{ last }}
    {% else %}
    select 0 as rows_before
    {% endif %}

)

select
    rows_now,
    rows_before
from candidate
cross join last_published
where
    rows_before > 0
    and (
        rows_now = 0
        or abs(rows_now - rows_before) > greatest(
            {{ var('export_change_allowed') }} * rows_before,
            {{ var('export_rows_allowed') }}
        )
    )
{% endtest %}
