-- Credits never exceed replies: one wave at most is the last touch before a reply.
select
    conversation_id,
    reply_id,
    count(*) as credits
from {{ ref('wave_replies') }}
where is_last_touch
group by conversation_id, reply_id
having count(*) > 1
