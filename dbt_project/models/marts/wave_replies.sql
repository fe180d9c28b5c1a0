{{ config(incremental_strategy='by_conversation') }}

with

due as (

    {{ due_conversations('last_inbound_at > first_wave_at') | indent(4) }}

),

-- Only a delivered text can have been answered.
touches as (

    select
        conversation_id,
        wave_id,
        sent_at as touched_at
    from {{ messages_of_due() }}
        and sender = 'wave'
        and lower(status) = 'delivered'
        and sent_at is not null

),

replies as (

    select
        conversation_id,
        account_id,
        message_id,
        sent_at as replied_at
    from {{ messages_of_due() }}
        and direction = 'inbound'
        and sent_at is not null

),

-- A wave that texted somebody twice is one candidate, by its last text before the reply.
candidates as (

    select
        replies.conversation_id,
        replies.account_id,
        replies.message_id,
        replies.replied_at,
        touches.wave_id,
        max(touches.touched_at) as touched_at
    from replies
    inner join touches
        on replies.conversation_id = touches.conversation_id
        and replies.replied_at > touches.touched_at
        and replies.replied_at <= touches.touched_at + interval '72 hours'
    group by
        replies.conversation_id,
        replies.account_id,
        replies.message_id,
        replies.replied_at,
        touches.wave_id

),

wave_replies as (

    select
        candidates.message_id as reply_id,
        candidates.wave_id,
        candidates.conversation_id,
        candidates.account_id,
        candidates.replied_at,
        candidates.touched_at,
        round(extract(epoch from candidates.replied_at - candidates.touched_at) / 3600, 2) as hours_after,
        row_number() over (
            partition by candidates.conversation_id, candidates.message_id
            order by candidates.touched_at desc, candidates.wave_id desc
        ) = 1 as is_last_touch,
        -- What an agent said in between may be what is answered.
        exists (
            select 1
            from {{ ref('messages') }} as said
            where
                said.conversation_id = candidates.conversation_id
                and said.sent_at > candidates.touched_at
                and said.sent_at < candidates.replied_at
                and said.sender = 'agent'
                and lower(said.status) is distinct from 'failed'
        ) as agent_between
    from candidates

)

select
    wave_replies.reply_id,
    wave_replies.wave_id,
    conversation_id,
    wave_replies.account_id,
    wave_replies.replied_at,
    wave_replies.touched_at,
    wave_replies.hours_after,
    wave_replies.is_last_touch,
    wave_replies.agent_between,
    due.conversation_hash
from {{ due_join('wave_replies') }}
