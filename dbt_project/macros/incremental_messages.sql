{#- How the mart messages is kept: not by a high-water mark, which a late commit, a deletion or another zone slips past, but
    by comparison. Each of its rows carries `carrier_hash` (of which raw messages it was made: those of one legacy id) and
    `source_hash` (how they, our numbers and this project's way of reading them looked then). A run makes anew what
    differs today, and removes what has no source any more. -#}

{#- True where a run may build on what the model holds: it is there, in a version that carries these columns. -#}
{% macro builds_on_itself(columns) -%}
{%- if not (execute and is_incremental()) -%}
    {{ return(false) }}
{%- endif -%}
{%- set held = adapter.get_columns_in_relation(this) | map(attribute='name') | list -%}
{%- for column in columns if column not in held -%}
    {{ return(false) }}
{%- endfor -%}
{{ return(true) }}
{%- endmacro %}

{#- The project's way of reading messages as one number: the seeds of words, reasons and rates, and its own wording, so that
    a new keyword, or another way to count segments, makes every row anew. -#}
{% macro reading_hash(model_code) -%}
{%- set wording = [
    model_code,
    message_directions('raw'),
    message_sides('raw', 'directed'),
    conversation_id('account', 'phone'),
    text_encoding('body', 'media_count'),
    text_units('body', 'encoding'),
    segments('units', 'encoding'),
    non_gsm_characters('body'),
    folded_text('body'),
    sounds_like_stop('body'),
] -%}
hashtextextended(
            '{{ local_md5(wording | join) }}'
            {%- for seed in ['consent_keywords', 'failure_reasons', 'message_rates'] %}
            || '|' || coalesce((select sum(hash_record_extended(seed, 0))::text from {{ ref(seed) }} as seed), '')
            {%- endfor %},
            0
        )
{%- endmacro %}

{#- The incremental strategy by_carrier: every carrier message that the run names is replaced by the rows that it gives
    for it. A row without a key names one that has no source any more. -#}
{% macro get_incremental_by_carrier_sql(arguments) -%}
{%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
delete from {{ arguments['target_relation'] }}
where
    carrier_hash is null
    or carrier_hash in (select carrier_hash from {{ arguments['temp_relation'] }});

insert into {{ arguments['target_relation'] }} ({{ columns }})
select {{ columns }}
from {{ arguments['temp_relation'] }}
where message_key is not null
{%- endmacro %}
