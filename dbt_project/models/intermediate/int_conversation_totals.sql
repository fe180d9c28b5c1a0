-- The one place where all messages are read conversation by conversation: for the marts conversations and contacts, and
-- for the hash by which other marts know which conversations have changed (macros/incremental_conversations.sql).
{{ config(
    materialized='table',
    pre_hook="set local work_mem = '" ~ var('work_mem') ~ "'; set local jit = off",
) }}

with

messages as (

    select * from {{ ref('messages') }}
    where conversation_id is not null

)

select
    conversation_id,
    min(account_id) as account_id,
    min(contact_phone) as contact_phone,
    min(sent_at) as first_message_at,
    max(sent_at) as last_message_at,
    max(sent_at) filter (where direction = 'inbound') as last_inbound_at,
    max(sent_at) filter (where direction = 'outbound') as last_outbound_at,
    count(*) filter (where direction = 'inbound') as inbound,
    count(*) filter (where direction = 'outbound') as outbound,
    count(*) filter (where direction = 'outbound' and lower(status) = 'delivered') as delivered,
    min(sent_at) filter (where sender = 'wave' and lower(status) = 'delivered') as first_wave_at,
    max(coalesce(sent_at, confirmed_at, first_seen_at)) filter (where is_possible_opt_out) as possible_opt_out_at,
    sum(volt_ids)::bigint as volt_ids,
    bit_xor(source_hash) as messages_hash
from messages
group by conversation_id
