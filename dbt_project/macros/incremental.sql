{#- How marts are kept. None is dropped and built anew while people read it: the rows that a run gives are compared with
    those that it holds, and only what differs is written, so that masked views, grants and indexes stay. Three strategies
    say how: by_difference (the model gives all its rows), by_conversation (those of the conversations that changed,
    incremental_conversations.sql) and by_carrier (those of the carrier messages that changed, incremental_messages.sql). -#}

{#- dbt asks this before it decides how to build a model. One whose text is not the one that built what stands there is
    built from nothing: so whoever edits a mart, or what it is made of, needs no --full-refresh. -#}
{% macro should_full_refresh() %}
{%- set asked = config.get('full_refresh') -%}
{%- if asked is none -%}
    {%- set asked = flags.FULL_REFRESH -%}
{%- endif -%}
{#- Found out once for each model, because dbt asks many times. -#}
{%- if execute and 'is_edited' not in model -%}
    {%- set is_kept = config.get('materialized') in ['incremental', 'view'] -%}
    {%- do model.update({'is_edited': is_kept and built_by() != wording()}) -%}
{%- endif -%}
{{ return(asked or (execute and model['is_edited'])) }}
{% endmacro %}

{#- A view that says the same is left alone: dropping it would take along what others have built on it. -#}
{% materialization view, adapter='postgres' %}
{%- if load_cached_relation(this) is none or should_full_refresh() -%}
    {{ return(dbt.materialization_view_default()) }}
{%- endif -%}
{%- call noop_statement('main', 'UNCHANGED') -%} {{ sql }} {%- endcall -%}
{{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}

{#- The text that a model is made of, as a digest: its own, that of the models upstream of it, and of each of the project's
    macros that they come to use. -#}
{% macro wording() %}
{#- Variables, too, decide what a view says, and what is upstream of it does not. -#}
{%- if config.get('materialized') == 'view' -%}
    {{ return(local_md5(sql)) }}
{%- endif -%}
{%- set reached = [model.unique_id] -%}
{%- set texts = [tojson(config.get('indexes'))] -%}
{#- The list grows while it is read: by what each node depends on. -#}
{%- for node_id in reached -%}
    {%- if node_id.startswith('model.') -%}
        {%- set node = graph.nodes[node_id] -%}
        {%- do texts.append(node.raw_code) -%}
    {%- else -%}
        {%- set node = context[node_id.split('.')[2]].macro -%}
        {%- do texts.append(node.macro_sql) -%}
    {%- endif -%}
    {%- for further in (node.depends_on.nodes or []) + node.depends_on.macros -%}
        {%- if further not in reached and further.startswith(('model.', 'macro.' ~ project_name ~ '.')) -%}
            {%- do reached.append(further) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endfor -%}
{{ return(local_md5(texts | sort | join)) }}
{% endmacro %}

{#- The digest of the text that built the table, which stands in its comment; '' where there is none. -#}
{% macro built_by() %}
{%- set found = run_query(
    "select substring(obj_description(to_regclass('" ~ this ~ "'), 'pg_class') from '[0-9a-f]{32}')"
) -%}
{{ return(found.columns[0].values()[0] or '') }}
{% endmacro %}

{#- After a build: which text built what stands there now, and for a table statistics where it has grown by a tenth since it
    had some. (A fresh table has none until autovacuum comes by, and the next mart is planned before that.) -#}
{% macro after_build() %}
{%- if execute -%}
    {%- set kind = 'view' if config.get('materialized') == 'view' else 'table' -%}
    {%- if config.get('materialized') in ['incremental', 'view'] -%}
        {%- do run_query("comment on " ~ kind ~ " " ~ this ~ " is 'Built by dbt (" ~ wording() ~ ").'") -%}
    {%- endif -%}
    {%- set grown = run_query(
        "select relkind <> 'v' and pg_relation_size(oid) > 1.1 * relpages * current_setting('block_size')::bigint"
        " from pg_class where oid = '" ~ this ~ "'::regclass"
    ) -%}
    {%- if grown.columns[0].values()[0] -%}
        analyze {{ this }}
    {%- endif -%}
{%- endif -%}
{% endmacro %}

{#- The rows of relations as one text, for a hash of all that a model reads beside messages. -#}
{% macro contents(relations) -%}
{%- for relation in relations -%}
(select coalesce(sum(hash_record_extended(held, 0))::text, '') from {{ relation }} as held)
            {%- if not loop.last %} || '|' || {% endif -%}
{%- endfor -%}
{%- endmacro %}

{#- Readers do not wait, but of two builds at once the second does: else both would insert what both find new. -#}
{% macro alone_on(relation) -%}
lock table {{ relation }} in share row exclusive mode;
{%- endmacro %}

{#- The incremental strategy by_difference. Rows are compared as text, which every type has. -#}
{% macro get_incremental_by_difference_sql(arguments) -%}
{%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
{%- set same = "hashtextextended(row(" ~ columns ~ ")::text, 0)" -%}
{{ alone_on(arguments['target_relation']) }}

delete from {{ arguments['target_relation'] }} as held
using (
    select kept.ctid as place
    from {{ arguments['target_relation'] }} as kept
    left join (select {{ same }} as row_digest from {{ arguments['temp_relation'] }}) as made
        on {{ same }} = made.row_digest
    where made.row_digest is null
) as gone
where held.ctid = gone.place;

insert into {{ arguments['target_relation'] }} ({{ columns }})
select {{ columns }}
from {{ arguments['temp_relation'] }}
left join (select {{ same }} as row_digest from {{ arguments['target_relation'] }}) as kept
    on {{ same }} = kept.row_digest
where kept.row_digest is null
{%- endmacro %}

{#- What by_carrier and by_conversation do: all rows of each key that the run names give way to those that it gives for it.
    A row in which `present` is null only names a key that has no rows any more. -#}
{% macro replacing(arguments, key, present) -%}
{%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
{{ alone_on(arguments['target_relation']) }}

delete from {{ arguments['target_relation'] }}
where {{ key }} in (select {{ key }} from {{ arguments['temp_relation'] }});

insert into {{ arguments['target_relation'] }} ({{ columns }})
select {{ columns }}
from {{ arguments['temp_relation'] }}
where {{ present }} is not null
{%- endmacro %}
