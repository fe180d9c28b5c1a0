-- Built only after every test of the candidate has passed (`dbt build`; a bare `dbt run` would skip the tests).
select
    account_phone,
    list_name,
    source_list_name,
    name_search_term,
    rules
from {{ ref('export_lists_candidate') }}
