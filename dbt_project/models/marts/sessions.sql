{{ config(incremental_strategy='by_conversation') }}

with

due as (

    {{ due_conversations('last_message_at is not null') | indent(4) }}

),

messages as (

    select
        conversation_id,
        account_id,
        message_id,
        direction,
        sender,
        sent_at
    from {{ messages_of_due() }}
        and sent_at is not null

),

-- A session begins where nothing was said for more than 24 hours.
stepped as (

    select
        *,
        coalesce(
            sent_at > lag(sent_at) over one_conversation + interval '24 hours',
            true
        ) as is_start
    from messages
    window one_conversation as (partition by conversation_id order by sent_at, message_id)

),

numbered as (

    select
        *,
        count(*) filter (where is_start) over (
            partition by conversation_id
            order by sent_at, message_id
            rows unbounded preceding
        ) as session_number
    from stepped

),

sessions as (

    select
        md5(conversation_id || '|' || max(message_id) filter (where is_start)) as session_id,
        conversation_id,
        min(account_id) as account_id,
        min(sent_at) as started_at,
        max(sent_at) as ended_at,
        max(sender) filter (where is_start) as started_by,
        count(*) filter (where direction = 'inbound') as inbound,
        count(*) filter (where direction = 'outbound') as outbound,
        count(*) as messages
    from numbered
    group by conversation_id, session_number

)

select
    sessions.session_id,
    conversation_id,
    sessions.account_id,
    sessions.started_at,
    sessions.ended_at,
    sessions.started_by,
    sessions.inbound,
    sessions.outbound,
    sessions.messages,
    due.conversation_hash
from {{ due_join('sessions') }}
