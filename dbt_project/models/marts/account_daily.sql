with

messages as (

    select
        account_id,
        local_day as day,
        count(*) filter (where direction = 'inbound') as inbound,
        count(*) filter (where direction = 'outbound') as outbound,
        count(*) filter (where direction = 'unknown') as unknown,
        count(*) filter (where direction = 'outbound' and lower(status) = 'delivered') as delivered,
        count(*) filter (where direction = 'outbound' and lower(status) = 'failed') as failed,
        sum(estimated_cost_usd) as estimated_cost_usd
    from {{ ref('messages') }}
    group by account_id, local_day

),

-- A free-standing day too: what was said without a time counts on the day when it was first seen.
opt_outs as (

    select
        events.account_id,
        (events.changed_at at time zone accounts.time_zone)::date as day,
        count(*) as opt_outs
    from {{ ref('consent_events') }} as events
    inner join {{ ref('accounts') }} as accounts
        on events.account_id = accounts.account_id
    where events.effect = 'opt_out'
    group by events.account_id, day

)

select
    coalesce(messages.account_id, opt_outs.account_id) as account_id,
    coalesce(messages.day, opt_outs.day) as day,
    coalesce(messages.inbound, 0) as inbound,
    coalesce(messages.outbound, 0) as outbound,
    coalesce(messages.unknown, 0) as unknown,
    coalesce(messages.delivered, 0) as delivered,
    coalesce(messages.failed, 0) as failed,
    coalesce(messages.outbound - messages.delivered - messages.failed, 0) as pending,
    coalesce(opt_outs.opt_outs, 0) as opt_outs,
    messages.estimated_cost_usd
from messages
full join opt_outs
    on messages.account_id = opt_outs.account_id
    and messages.day = opt_outs.day
