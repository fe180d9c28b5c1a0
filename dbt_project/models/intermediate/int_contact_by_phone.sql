with

contacts as (

    select * from {{ ref('stg_volt__contacts') }}
    where not is_deleted

)

select distinct on (account_id, contact_phone)
    account_id,
    contact_phone,
    contact_id
from contacts
order by
    account_id,
    contact_phone,
    last_updated_at desc nulls last,
    contact_id
