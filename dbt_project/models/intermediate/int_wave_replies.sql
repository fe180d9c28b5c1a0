with

messages as (

    select * from {{ ref('messages') }}

),

-- Only a delivered text can have been answered.
touches as (

    select
        conversation_id,
        wave_id,
        sent_at as touched_at
    from messages
    where
        sender = 'wave'
        and lower(status) = 'delivered'
        and sent_at is not null

),

replies as (

    select
        conversation_id,
        account_id,
        message_id,
        sent_at as replied_at
    from messages
    where
        direction = 'inbound'
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

)

select
    message_id as reply_id,
    wave_id,
    conversation_id,
    account_id,
    replied_at,
    touched_at,
    round(extract(epoch from replied_at - touched_at) / 3600, 2) as hours_after,
    row_number() over (
        partition by conversation_id, message_id
        order by touched_at desc, wave_id desc
    ) = 1 as is_last_touch
from candidates
