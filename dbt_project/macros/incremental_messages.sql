{#- How the mart messages is kept: not by a high-water mark, which a late commit, a deletion or another zone slips past, but
    by comparison. Each of its rows carries `carrier_hash` (of which raw messages it was made: those of one legacy id) and
    `source_hash` (how they, our numbers and the seeds that say how to read them looked then). A run makes anew what
    differs today, and removes what has no source any more. -#}

{#- The seeds by which messages are read as one number, so that a new keyword, or another rate, makes every row anew. -#}
{% macro reading_hash() %}
hashtextextended({{ contents([ref('consent_keywords'), ref('failure_reasons'), ref('message_rates')]) }}, 0)
{%- endmacro %}

{#- The incremental strategy by_carrier: every carrier message that the run names is replaced by the rows that it gives
    for it. A row without a key names one that has no source any more. -#}
{% macro get_incremental_by_carrier_sql(arguments) -%}
{{ replacing(arguments, 'carrier_hash', 'message_key') }}
{%- endmacro %}
