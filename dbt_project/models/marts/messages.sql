with

messages as (

    select * from {{ ref('int_messages') }}

),

accounts as (

    select * from {{ ref('accounts') }}

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
            then coalesce(nullif(btrim(segmented.status_description), ''), 'no reason given')
    end as failure_reason,
    segmented.is_final,
    segmented.sent_at,
    segmented.sent_at at time zone
        coalesce(accounts.time_zone, '{{ var("default_time_zone") }}') as sent_local,
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
    segmented.volt_ids
from segmented
left join accounts
    on segmented.account_id = accounts.account_id
left join keywords
    on segmented.folded_body = keywords.keyword
left join rates
    on segmented.direction = rates.direction
    and case when segmented.encoding = 'mms' then 'mms' else 'sms' end = rates.channel
