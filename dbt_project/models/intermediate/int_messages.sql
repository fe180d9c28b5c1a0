with

-- Read twice, once for each side of a text between our own accounts; a plan that keeps it would copy every body.
messages as not materialized (

    select * from {{ ref('int_message_directions') }}

),

-- A number that two accounts share tells nothing about which of them the text reached.
owners as (

    select
        phone_number,
        min(account_id) as account_id
    from {{ ref('int_own_numbers') }}
    group by phone_number
    having count(*) = 1

),

-- Volt's own word on the contact counts while that contact exists; a retired one gives way to who has the phone now.
live_contacts as (

    select contact_id
    from {{ ref('stg_volt__contacts') }}
    where not is_deleted

),

contacts_by_phone as (

    select * from {{ ref('int_contact_by_phone') }}

),

first_side as (

    select
        messages.*,
        false as is_other_side
    from messages

),

other_side as (

    select
        messages.message_id,
        messages.legacy_id,
        owners.account_id,
        case messages.direction
            when 'outbound' then messages.from_number
            else messages.to_number
        end as contact_phone,
        cast(null as text) as contact_id,
        messages.to_number,
        messages.from_number,
        messages.wave_id,
        case messages.direction
            when 'outbound' then 'inbound'
            else 'outbound'
        end as direction,
        'own_number' as direction_evidence,
        messages.status,
        messages.status_description,
        messages.body,
        messages.media_count,
        messages.sent_at,
        messages.confirmed_at,
        messages.first_seen_at,
        messages.is_final,
        messages.is_deleted,
        messages.volt_ids,
        true as is_other_side
    from messages
    inner join owners
        on messages.contact_phone = owners.phone_number
        and messages.account_id <> owners.account_id
    where messages.direction <> 'unknown'

),

-- Where Volt gave the other account a message of its own for the same text, that one stands.
held_by_other_account as (

    select distinct
        other_side.account_id,
        other_side.legacy_id
    from other_side
    inner join {{ ref('stg_volt__messages') }} as held
        on other_side.legacy_id = held.legacy_id
        and other_side.account_id = held.account_id

),

both_sides as (

    select * from first_side

    union all

    select other_side.*
    from other_side
    left join held_by_other_account
        on other_side.account_id = held_by_other_account.account_id
        and other_side.legacy_id = held_by_other_account.legacy_id
    where held_by_other_account.legacy_id is null

)

select
    {{ surrogate_key(['both_sides.account_id', 'both_sides.message_id']) }} as message_key,
    both_sides.message_id,
    both_sides.legacy_id,
    both_sides.account_id,
    {{ conversation_id('both_sides.account_id', 'both_sides.contact_phone') }} as conversation_id,
    coalesce(
        live_contacts.contact_id,
        contacts_by_phone.contact_id,
        both_sides.contact_id
    ) as contact_id,
    both_sides.contact_phone,
    both_sides.to_number,
    both_sides.from_number,
    both_sides.wave_id,
    both_sides.direction,
    both_sides.direction_evidence,
    both_sides.status,
    both_sides.status_description,
    both_sides.body,
    both_sides.media_count,
    both_sides.sent_at,
    both_sides.confirmed_at,
    both_sides.first_seen_at,
    both_sides.is_final,
    both_sides.is_deleted,
    both_sides.is_other_side,
    both_sides.volt_ids
from both_sides
left join live_contacts
    on both_sides.contact_id = live_contacts.contact_id
left join contacts_by_phone
    on both_sides.account_id = contacts_by_phone.account_id
    and both_sides.contact_phone = contacts_by_phone.contact_phone
