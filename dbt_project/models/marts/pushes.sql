-- A view, so that a push can be looked at as soon as it is over; and one that reads the tables themselves, because a view
-- on what dbt builds would be gone while that is built anew.
{{ config(materialized='view') }}

with

attempts as (

    select * from {{ source('volt_ops', 'pushes') }}

),

-- Of two accounts that had one primary phone, the one that Volt still holds.
accounts as (

    select distinct on (primary_phone)
        primary_phone,
        id as account_id
    from {{ source('volt', 'accounts') }}
    order by
        primary_phone,
        deleted_at is not null,
        id

),

ranked as (

    select
        *,
        row_number() over (one_row order by id desc) = 1 as is_latest,
        count(*) filter (where not waited) over one_row as attempts
    from attempts
    window one_row as (partition by run_id, export, account_phone, row_key)

)

select
    ranked.run_id,
    ranked.export,
    ranked.row_key,
    ranked.account_phone,
    accounts.account_id,
    case when ranked.export = 'contacts' then ranked.row_key end as contact_phone,
    ranked.action,
    ranked.outcome as status,
    ranked.attempts,
    ranked.reason,
    ranked.plan_id,
    ranked.pushed_at
from ranked
left join accounts
    on ranked.account_phone = accounts.primary_phone
where ranked.is_latest
