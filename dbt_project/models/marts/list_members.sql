with

memberships as (

    select * from {{ ref('stg_volt__contact_lists') }}

),

lists as (

    select * from {{ ref('stg_volt__lists') }}

),

contacts as (

    select * from {{ ref('stg_volt__contacts') }}

)

select
    memberships.list_id,
    lists.list_name,
    coalesce(lists.account_id, contacts.account_id) as account_id,
    memberships.contact_id,
    contacts.contact_phone,
    memberships.joined_at,
    memberships.left_at
from memberships
left join lists
    on memberships.list_id = lists.list_id
left join contacts
    on memberships.contact_id = contacts.contact_id
