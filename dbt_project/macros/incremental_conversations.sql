{#- How the marts that read whole conversations are kept. int_conversation_totals has a hash of all messages of each
    conversation; each row of such a mart carries, as `conversation_hash`, that hash and one of the settings that the mart
    reads, as they were when it was made. A run makes anew the conversations where the two differ today, and removes what is
    no conversation any more. -#}

{#- The conversations to make anew, each with its hash. `may_have_rows` is said of int_conversation_totals: a conversation of
    which the mart has no row carries no hash either, and would be made anew in every run. -#}
{% macro due_conversations(may_have_rows, settings=[]) %}
with today as (

    select
        conversation_id,
        hashtextextended(
            messages_hash::text
            {%- if settings %} || '|' || {{ contents(settings) }}{% endif %},
            0
        ) as conversation_hash
    from {{ ref('int_conversation_totals') }}
    where {{ may_have_rows }}

)
{% if is_incremental() %}
select
    conversation_id,
    today.conversation_hash
from today
full join (select distinct conversation_id, conversation_hash from {{ this }}) as held using (conversation_id)
where today.conversation_hash is distinct from held.conversation_hash
{% else %}
select * from today
{% endif %}
{% endmacro %}

{#- The messages to read for that. -#}
{% macro messages_of_due() -%}
{{ ref('messages') }}
    {%- if is_incremental() %}
    where conversation_id in (select conversation_id from due)
    {%- else %}
    where conversation_id is not null
    {%- endif -%}
{%- endmacro %}

{#- How what was made of them and `due` are joined: where rows stand already, a conversation without any is named too, so
    that the run removes what it had. -#}
{% macro due_join(made) -%}
{{ 'due left join ' ~ made if is_incremental() else made ~ ' left join due' }} using (conversation_id)
{%- endmacro %}

{% macro get_incremental_by_conversation_sql(arguments) -%}
{{ replacing(arguments, 'conversation_id', 'account_id') }}
{%- endmacro %}
