-- EDIT ME: the lists that your CRM wants in Volt, one row per account and list name.
-- Point the last branch to your own tables and keep the five columns:
--
--     select
--         store_phone as account_phone,      -- the account's primary phone, E.164
--         segment_name as list_name,
--         'All' as source_list_name,         -- the list that is filtered; name it, Volt falls back to All
--         cast(null as text) as name_search_term,
--         jsonb_build_array(                 -- every rule must hold
--             jsonb_build_object('field', 'tier', 'operator', 'is', 'value', 'gold')
--         ) as rules
--     from crm.segments
--
-- Operators: gt gte lt lte eq neq (numbers), bf af (dates), is has nc (text).
-- What comes out is checked (export_lists_candidate) before it is published; a row left out deletes nothing.
-- The seed is the demo's invented CRM and is never pushed to a real Volt: without demo_crm there are no rows.
-- depends_on: {{ ref('demo_crm_lists') }}
{% if var('demo_crm', false) %}

select
    account_phone,
    list_name,
    source_list_name,
    name_search_term,
    rules::jsonb as rules
from {{ ref('demo_crm_lists') }}

{% else %}

select
    cast(null as text) as account_phone,
    cast(null as text) as list_name,
    cast(null as text) as source_list_name,
    cast(null as text) as name_search_term,
    cast(null as jsonb) as rules
where false

{% endif %}
