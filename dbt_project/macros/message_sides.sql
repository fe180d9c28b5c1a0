{#- How a message of Volt becomes a message of an account, as SQL over any relation of stg_volt__messages' columns: the
    views int_message_directions and int_messages say it of all messages, and the incremental run of the mart messages of
    those alone that it must make anew. -#}

{#- One row per carrier message of an account, with its direction and what told it. -#}
{% macro message_directions(raw_messages) %}
with

-- Read three times; a plan that keeps it would copy every body.
messages as not materialized (

    select * from {{ raw_messages }}

),

own_numbers as (

    select * from {{ ref('int_own_numbers') }}

),

owners as (

    select distinct phone_number from own_numbers

),

-- A text that Volt carries under two ids is one text. Only such texts are ranked: most have a legacy id of their own.
repeated as (

    select
        account_id,
        legacy_id
    from messages
    where legacy_id is not null
    group by account_id, legacy_id
    having count(*) > 1

),

ranked as (

    select
        messages.message_id,
        row_number() over (
            partition by messages.account_id, messages.legacy_id
            order by
                messages.is_deleted,
                messages.is_final desc nulls last,
                messages.confirmed_at desc nulls last,
                messages.loaded_at desc,
                messages.message_id
        ) as position,
        count(*) filter (where not messages.is_deleted) over one_text as volt_ids,
        max(messages.wave_id) over one_text as wave_id,
        max(messages.contact_id) over one_text as contact_id
    from messages
    inner join repeated
        on messages.account_id = repeated.account_id
        and messages.legacy_id = repeated.legacy_id
    window one_text as (partition by messages.account_id, messages.legacy_id)

),

carrier_messages as (

    select
        messages.message_id,
        messages.legacy_id,
        messages.account_id,
        messages.contact_phone as read_with_phone,
        messages.to_number,
        messages.from_number,
        messages.status,
        messages.status_description,
        messages.body,
        messages.media_count,
        messages.sent_at,
        messages.confirmed_at,
        messages.first_seen_at,
        messages.is_final,
        messages.is_deleted,
        coalesce(messages.wave_id, ranked.wave_id) as wave_id,
        coalesce(messages.contact_id, ranked.contact_id) as contact_id,
        coalesce(ranked.volt_ids, (not messages.is_deleted)::integer) as volt_ids,
        sender.phone_number is not null as is_from_account,
        recipient.phone_number is not null as is_to_account,
        any_sender.phone_number is not null as is_from_ours,
        any_recipient.phone_number is not null as is_to_ours,
        hints.direction as hinted_direction
    from messages
    left join ranked
        on messages.message_id = ranked.message_id
    left join own_numbers as sender
        on messages.account_id = sender.account_id
        and messages.from_number = sender.phone_number
    left join own_numbers as recipient
        on messages.account_id = recipient.account_id
        and messages.to_number = recipient.phone_number
    left join owners as any_sender
        on messages.from_number = any_sender.phone_number
    left join owners as any_recipient
        on messages.to_number = any_recipient.phone_number
    left join {{ ref('int_webhook_hints') }} as hints
        on messages.message_id = hints.message_id
    where ranked.position is null or ranked.position = 1

),

-- The other side of the conversation is known unless it is one of the account's own numbers.
contact_sides as (

    select
        *,
        case
            when read_with_phone = from_number and is_from_account then false
            when read_with_phone = to_number and is_to_account then false
            when from_number = to_number then false
            else read_with_phone is not null
        end as is_contact_known
    from carrier_messages

),

evidenced as (

    select
        *,
        case
            when is_contact_known and read_with_phone in (from_number, to_number) then 'conversation'
            when is_from_account <> is_to_account then 'own_number'
            when is_from_ours <> is_to_ours then 'own_number'
            when hinted_direction is not null then 'webhook'
            when wave_id is not null then 'wave'
            when lower(status) = 'received' then 'status'
            else 'none'
        end as direction_evidence
    from contact_sides

),

directed as (

    select
        *,
        case direction_evidence
            when 'conversation' then case when read_with_phone = from_number then 'inbound' else 'outbound' end
            when 'own_number' then
                case
                    when is_from_account <> is_to_account
                        then case when is_from_account then 'outbound' else 'inbound' end
                    when is_from_ours then 'outbound'
                    else 'inbound'
                end
            when 'webhook' then hinted_direction
            when 'wave' then 'outbound'
            when 'status' then 'inbound'
            else 'unknown'
        end as direction
    from evidenced

)

select
    message_id,
    legacy_id,
    account_id,
    case
        when is_contact_known then read_with_phone
        when direction = 'inbound' then coalesce(from_number, read_with_phone)
        when direction = 'outbound' then coalesce(to_number, read_with_phone)
        else read_with_phone
    end as contact_phone,
    contact_id,
    to_number,
    from_number,
    wave_id,
    direction,
    direction_evidence,
    status,
    status_description,
    body,
    media_count,
    sent_at,
    confirmed_at,
    first_seen_at,
    is_final,
    is_deleted,
    volt_ids
from directed
{% endmacro %}

{#- The same with both sides of a text between two of our own accounts, each with its contact. -#}
{% macro message_sides(raw_messages, directed_messages) %}
with

-- Read twice, once for each side of a text between our own accounts; a plan that keeps it would copy every body.
messages as not materialized (

    select * from {{ directed_messages }}

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
    inner join {{ raw_messages }} as held
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
    both_sides.contact_id as volt_contact_id,
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
{% endmacro %}
