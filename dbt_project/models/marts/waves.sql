with

waves as (

    select * from {{ ref('stg_volt__waves') }}

),

messages as (

    select * from {{ ref('messages') }}

),

replies as (

    select * from {{ ref('wave_replies') }}
    where is_last_touch

),

opt_outs as (

    select * from {{ ref('consent_events') }}
    where effect = 'opt_out'

),

loaded as (

    select
        wave_id,
        sum(volt_ids) as messages_loaded,
        count(*) filter (where lower(status) = 'delivered') as delivered_loaded,
        sum(estimated_cost_usd) as estimated_cost_usd
    from messages
    where
        wave_id is not null
        and direction <> 'inbound'
    group by wave_id

),

answered as (

    select
        replies.wave_id,
        count(distinct replies.conversation_id)
            filter (where replies.replied_at <= replies.touched_at + interval '24 hours') as repliers_24h,
        count(distinct replies.conversation_id) as repliers_72h,
        count(distinct opt_outs.conversation_id) as opt_outs
    from replies
    left join opt_outs
        on replies.conversation_id = opt_outs.conversation_id
        and replies.reply_id = opt_outs.message_id
    group by replies.wave_id

)

select
    waves.wave_id,
    waves.account_id,
    waves.organization_id,
    waves.name,
    waves.type,
    lower(waves.type) is distinct from 'contact' as is_campaign,
    waves.scheduled_at,
    waves.sent_by,
    waves.body,
    waves.total_messages,
    waves.total_delivered,
    waves.total_failed,
    case
        when waves.total_messages >= waves.total_delivered + waves.total_failed
            then waves.total_messages - waves.total_delivered - waves.total_failed
        when waves.total_messages < waves.total_delivered + waves.total_failed then 0
    end as total_pending,
    coalesce(loaded.messages_loaded, 0)::bigint as messages_loaded,
    coalesce(loaded.delivered_loaded, 0) as delivered_loaded,
    round(
        coalesce(loaded.messages_loaded, 0) / nullif(waves.total_messages, 0)::numeric,
        4
    ) as coverage,
    round(
        waves.total_delivered / nullif(waves.total_delivered + waves.total_failed, 0)::numeric,
        4
    ) as delivery_rate,
    coalesce(answered.repliers_24h, 0) as repliers_24h,
    coalesce(answered.repliers_72h, 0) as repliers_72h,
    coalesce(answered.opt_outs, 0) as opt_outs,
    round(
        coalesce(answered.opt_outs, 0) / nullif(loaded.delivered_loaded, 0)::numeric,
        4
    ) as opt_out_rate,
    loaded.estimated_cost_usd,
    waves.is_deleted
from waves
left join loaded
    on waves.wave_id = loaded.wave_id
left join answered
    on waves.wave_id = answered.wave_id
