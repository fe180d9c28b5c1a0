with

said as (

    select
        messages.conversation_id,
        messages.account_id,
        messages.contact_phone,
        messages.message_id,
        keywords.keyword,
        keywords.effect,
        -- A wish to stop counts even where Volt names no time for it.
        coalesce(messages.sent_at, messages.confirmed_at, messages.first_seen_at) as said_at
    from {{ ref('messages') }} as messages
    inner join {{ ref('consent_keywords') }} as keywords
        on messages.keyword = keywords.keyword
    where
        messages.direction = 'inbound'
        and keywords.effect in ('opt_out', 'opt_in', 'opt_in_if_out')

),

-- Of two words in the same instant the opt-out is taken to be the last.
preceded as (

    select
        *,
        lag(effect) over (
            partition by conversation_id
            order by said_at, effect = 'opt_out', message_id
        ) as effect_before
    from said

),

-- YES opts in only who is out, and only a STOP right before it (YES and HELP aside) leaves somebody out.
effective as (

    select
        conversation_id,
        account_id,
        contact_phone,
        message_id,
        keyword,
        said_at,
        case effect
            when 'opt_in_if_out' then 'opt_in'
            else effect
        end as effect
    from preceded
    where
        effect <> 'opt_in_if_out'
        or effect_before = 'opt_out'

),

-- A second STOP changes nothing.
compared as (

    select
        *,
        lag(effect) over (
            partition by conversation_id
            order by said_at, effect = 'opt_out', message_id
        ) as consent_before
    from effective

)

select
    conversation_id,
    account_id,
    contact_phone,
    effect,
    keyword,
    message_id,
    said_at as changed_at,
    lead(said_at) over (
        partition by conversation_id
        order by said_at, effect = 'opt_out', message_id
    ) as next_change_at
from compared
where effect is distinct from consent_before
