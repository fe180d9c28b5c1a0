-- EDIT ME: the people whom your CRM wants in Volt, one row per account and phone number.
-- Point the last branch to your own tables and keep the five columns:
--
--     select
--         store_phone as account_phone,                -- the account's primary phone, E.164
--         mobile as phone_number,                      -- E.164: +15555556893
--         full_name as name,                           -- null = keep the name that Volt has
--         jsonb_build_object('tier', tier) as custom_fields,  -- strings only; fields left out are kept; null = keep
--         cast(null as boolean) as blocked             -- true = block; null = keep; false never unblocks by itself
--     from crm.customers
--
-- What comes out is checked (export_contacts_candidate) before it is published; a row left out deletes nothing.
-- The seed is the demo's invented CRM and is never pushed to a real Volt: without demo_crm there are no rows.
-- depends_on: {{ ref('demo_crm_contacts') }}
{% if var('demo_crm', false) %}

select
    account_phone,
    phone_number,
    name,
    custom_fields::jsonb as custom_fields,
    blocked
from {{ ref('demo_crm_contacts') }}

{% else %}

select
    cast(null as text) as account_phone,
    cast(null as text) as phone_number,
    cast(null as text) as name,
    cast(null as jsonb) as custom_fields,
    cast(null as boolean) as blocked
where false

{% endif %}
