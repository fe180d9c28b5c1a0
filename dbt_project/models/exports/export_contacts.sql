-- Built only after every test of the candidate has passed (`dbt build`; a bare `dbt run` would skip the tests).
select
    account_phone,
    phone_number,
    name,
    custom_fields,
    blocked
from {{ ref('export_contacts_candidate') }}
