{{ config(incremental_strategy='by_carrier') }}
-- An incremental run alone reads these, which dbt is to know beforehand.
-- depends_on: {{ ref('stg_volt__contacts') }}
-- depends_on: {{ ref('int_contact_by_phone') }}
-- depends_on: {{ ref('int_messages') }}

with

accounts as (

    select * from {{ ref('accounts') }}

),

-- (None of what follows is kept by the plan, which could not be parallel then.)
number_owners as not materialized (

    select
        own_numbers.phone_number,
        string_agg(own_numbers.account_id || ' ' || accounts.time_zone, '|' order by own_numbers.account_id) as owners
    from {{ ref('int_own_numbers') }} as own_numbers
    inner join {{ ref('accounts') }} as accounts
        on own_numbers.account_id = accounts.account_id
    group by own_numbers.phone_number

),

-- What each carrier message is made of today (macros/incremental_messages.sql).
sources as not materialized (

    select
        raw.carrier_hash,
        bit_xor(
            hash_record_extended(
                row(
                    raw.row_hash,
                    accounts.time_zone,
                    sender.owners,
                    recipient.owners,
                    other.owners,
                    hints.direction
                ),
                {{ reading_hash() }}
            )
        ) as source_hash
    from {{ ref('stg_volt__messages') }} as raw
    left join {{ ref('accounts') }} as accounts
        on raw.account_id = accounts.account_id
    left join number_owners as sender
        on raw.from_number = sender.phone_number
    left join number_owners as recipient
        on raw.to_number = recipient.phone_number
    left join number_owners as other
        on raw.contact_phone = other.phone_number
    left join {{ ref('int_webhook_hints') }} as hints
        on raw.message_id = hints.message_id
    group by raw.carrier_hash

),

{% if is_incremental() -%}
live_contacts as (

    select contact_id from {{ ref('stg_volt__contacts') }}
    where not is_deleted

),

contacts_by_phone as (

    select * from {{ ref('int_contact_by_phone') }}

),

-- What is new, differs or is gone. Contacts change hands without any change of the message: that is seen by what the held
-- row would say today.
due as materialized (

    select
        coalesce(sources.carrier_hash, held.carrier_hash) as carrier_hash,
        max(sources.source_hash) as source_hash
    from {{ this }} as held
    full join sources
        on held.carrier_hash = sources.carrier_hash
    left join live_contacts
        on held.volt_contact_id = live_contacts.contact_id
    left join contacts_by_phone
        on held.account_id = contacts_by_phone.account_id
        and held.contact_phone = contacts_by_phone.contact_phone
    where
        held.source_hash is distinct from sources.source_hash
        or held.contact_id is distinct from
        coalesce(live_contacts.contact_id, contacts_by_phone.contact_id, held.volt_contact_id)
    group by coalesce(sources.carrier_hash, held.carrier_hash)

),

due_ids as materialized (

    select message_id from {{ ref('stg_volt__messages') }}
    where carrier_hash in (select carrier_hash from due)

),

-- (Looked up one by one: a join would work out all columns of all messages first.)
raw_messages as materialized (

    select raw.*
    from due_ids
    cross join lateral (
        select * from {{ ref('stg_volt__messages') }} as found
        where found.message_id = due_ids.message_id
        offset 0
    ) as raw

),

directed_messages as (

    {{ message_directions('raw_messages') | indent(4) }}

),

sided_messages as (

    {{ message_sides('raw_messages', 'directed_messages') | indent(4) }}

),
{%- else -%}
due as (

    select * from sources

),

sided_messages as (

    select * from {{ ref('int_messages') }}

),
{%- endif %}

-- A carrier message that is gone stays here as a row of nulls, so that the run removes it.
messages as (

    select
        sided_messages.*,
        due.carrier_hash,
        due.source_hash
    from {{ 'due left join sided_messages' if is_incremental() else 'sided_messages left join due' }}
        on due.carrier_hash = hashtextextended(coalesce(sided_messages.legacy_id, sided_messages.message_id), 0)

),

keywords as (

    select * from {{ ref('consent_keywords') }}

),

rates as (

    select * from {{ ref('message_rates') }}

),

-- What we write ourselves is never a wish of the contact; long texts are never a keyword.
-- (`offset 0` keeps Postgres from repeating an expression wherever its name is used further down.)
folded as (

    select
        *,
        {{ text_encoding('body', 'media_count') }} as encoding,
        case
            when direction <> 'outbound' and char_length(body) <= 160
                then {{ folded_text('body') }}
        end as folded_body
    from messages
    offset 0

),

measured as (

    select
        *,
        {{ text_units('body', 'encoding') }} as units
    from folded
    offset 0

),

segmented as (

    select
        *,
        {{ segments('units', 'encoding') }} as segments
    from measured

)

select
    segmented.message_key,
    segmented.message_id,
    segmented.legacy_id,
    segmented.account_id,
    segmented.conversation_id,
    segmented.contact_id,
    segmented.contact_phone,
    segmented.wave_id,
    segmented.direction,
    segmented.direction_evidence,
    case
        when segmented.direction = 'inbound' then 'contact'
        when segmented.direction = 'outbound' and segmented.wave_id is not null then 'wave'
        when segmented.direction = 'outbound' then 'agent'
    end as sender,
    segmented.body,
    segmented.status,
    segmented.status_description,
    case
        when lower(segmented.status) = 'failed'
            then coalesce(
                (
                    select reasons.reason
                    from {{ ref('failure_reasons') }} as reasons
                    where position(lower(reasons.phrase) in lower(segmented.status_description)) > 0
                    order by char_length(reasons.phrase) desc, reasons.phrase
                    limit 1
                ),
                nullif(btrim(segmented.status_description), ''),
                'no reason given'
            )
    end as failure_reason,
    segmented.is_final,
    segmented.sent_at,
    {{ local_time('segmented.sent_at', 'accounts.time_zone') }} as sent_local,
    {{ local_day('segmented', 'accounts.time_zone') }} as local_day,
    segmented.confirmed_at,
    segmented.first_seen_at,
    segmented.media_count,
    segmented.encoding,
    case
        when segmented.encoding = 'sms_utf16'
            then {{ non_gsm_characters('segmented.body') }}
    end as non_gsm_characters,
    segmented.segments,
    segmented.segments * rates.usd_per_unit as estimated_cost_usd,
    keywords.keyword,
    segmented.direction <> 'outbound'
    and (
        -- A keyword of unknown direction may be the contact's: a person should look.
        (segmented.direction = 'unknown' and coalesce(keywords.effect = 'opt_out', false))
        or (keywords.keyword is null and {{ sounds_like_stop('segmented.body') }})
    ) as is_possible_opt_out,
    segmented.is_deleted,
    segmented.volt_ids,
    segmented.volt_contact_id,
    segmented.carrier_hash,
    segmented.source_hash
from segmented
left join accounts
    on segmented.account_id = accounts.account_id
left join keywords
    on segmented.folded_body = keywords.keyword
left join rates
    on segmented.direction = rates.direction
    and case when segmented.encoding = 'mms' then 'mms' else 'sms' end = rates.channel
