with

messages as (

    select * from {{ ref('stg_volt__messages') }}

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
        any_recipient.phone_number is not null as is_to_ours
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
