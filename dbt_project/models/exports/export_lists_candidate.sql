-- Upstream because the tests read it: see export_contacts_candidate.
-- depends_on: {{ ref('accounts') }}

select
    account_phone,
    list_name,
    source_list_name,
    name_search_term,
    coalesce(rules, '[]'::jsonb) as rules
from {{ ref('crm_lists') }}
