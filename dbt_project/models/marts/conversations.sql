with

held as (

    select * from {{ ref('int_conversation_totals') }}

),

conversations as (

    select
        {{ conversation_id('account_id', 'contact_phone') }} as conversation_id,
        account_id,
        contact_phone,
        messages_total
    from {{ ref('stg_volt__conversations') }}

),

inbox_items as (

    select
        {{ conversation_id('account_id', 'contact_phone') }} as conversation_id,
        account_id,
        contact_phone,
        is_unread
    from {{ ref('stg_volt__inbox_items') }}

),

contacts as (

    select * from {{ ref('int_contact_by_phone') }}

),

-- A conversation may be known from its messages, from a walk, or so far from the inbox alone.
known as (

    select conversation_id, account_id, contact_phone from held
    union
    select conversation_id, account_id, contact_phone from conversations
    union
    select conversation_id, account_id, contact_phone from inbox_items

)

select
    known.conversation_id,
    known.account_id,
    contacts.contact_id,
    known.contact_phone,
    held.first_message_at,
    held.last_message_at,
    -- Two texts in the same instant: the contact's counts, so that nobody who may be waiting is hidden.
    case
        when held.last_message_at is null then null
        when held.last_inbound_at = held.last_message_at then 'inbound'
        when held.last_outbound_at = held.last_message_at then 'outbound'
        else 'unknown'
    end as last_direction,
    coalesce(held.inbound, 0) as inbound,
    coalesce(held.outbound, 0) as outbound,
    inbox_items.is_unread,
    coalesce(held.volt_ids, 0) as messages_held,
    conversations.messages_total,
    round(
        coalesce(held.volt_ids, 0) / nullif(conversations.messages_total, 0)::numeric,
        4
    ) as coverage
from known
left join held
    on known.conversation_id = held.conversation_id
left join conversations
    on known.conversation_id = conversations.conversation_id
left join inbox_items
    on known.conversation_id = inbox_items.conversation_id
left join contacts
    on known.account_id = contacts.account_id
    and known.contact_phone = contacts.contact_phone
