-- Who answered whom: waves, failed texts and whatever comes within 10 seconds (auto-replies) answer nobody and do not
-- part a turn from what follows; business minutes are read off a calendar that counts the open seconds of each
-- account from day to day.
{{ config(incremental_strategy='by_conversation') }}

with

accounts as (

    select * from {{ ref('accounts') }}

),

due as (

    {{ due_conversations('last_inbound_at is not null', settings=[
        ref('account_hours'),
        ref('account_holidays'),
        '(select account_id, primary_phone, time_zone from ' ~ ref('accounts') ~ ')',
    ]) | indent(4) }}

),

spoken as (

    select
        conversation_id,
        account_id,
        contact_phone,
        message_id,
        direction = 'inbound' as is_inbound,
        keyword is not null as is_keyword,
        sent_at
    from {{ messages_of_due() }}
        and sent_at is not null
        and (
            direction = 'inbound'
            or (sender = 'agent' and lower(status) is distinct from 'failed')
        )

),

-- Of two texts in the same instant the contact's is the later: nobody who may be waiting is hidden.
heard as (

    select
        *,
        max(sent_at) filter (where is_inbound) over (
            partition by conversation_id
            order by sent_at, is_inbound, message_id
            rows unbounded preceding
        ) as last_inbound_at
    from spoken

),

stepped as (

    select
        *,
        is_inbound
        and not coalesce(
            lag(is_inbound) over (partition by conversation_id order by sent_at, is_inbound, message_id),
            false
        ) as is_start
    from heard
    where
        is_inbound
        or sent_at > last_inbound_at + interval '10 seconds'

),

numbered as (

    select
        *,
        count(*) filter (where is_start) over (
            partition by conversation_id
            order by sent_at, is_inbound, message_id
            rows unbounded preceding
        ) as turn
    from stepped

),

turns as (

    select
        conversation_id,
        turn,
        min(account_id) as account_id,
        min(contact_phone) as contact_phone,
        min(sent_at) filter (where is_inbound) as asked_at,
        min(sent_at) filter (where not is_inbound) as answered_at,
        count(*) filter (where is_inbound) as inbound,
        coalesce(bool_and(is_keyword) filter (where is_inbound), false) as is_keyword_only
    from numbered
    where turn > 0
    group by conversation_id, turn

),

local_turns as (

    select
        turns.*,
        sessions.session_id,
        (turns.asked_at at time zone accounts.time_zone)::date as asked_on,
        (turns.answered_at at time zone accounts.time_zone)::date as answered_on
    from turns
    left join {{ ref('sessions') }} as sessions
        on turns.conversation_id = sessions.conversation_id
        and turns.asked_at between sessions.started_at and sessions.ended_at
    left join accounts
        on turns.account_id = accounts.account_id

),

spans as (

    select
        account_id,
        min(asked_on) as first_day,
        max(answered_on) as last_day
    from local_turns
    where answered_on is not null
    group by account_id

),

-- Accounts without hours have no calendar, and so no business minutes.
days as (

    select
        spans.account_id,
        accounts.primary_phone,
        accounts.time_zone,
        each_day::date as day
    from spans
    inner join accounts
        on spans.account_id = accounts.account_id
    cross join lateral generate_series(
        spans.first_day::timestamp,
        spans.last_day::timestamp,
        interval '1 day'
    ) as each_day
    where accounts.primary_phone in (select account_phone from {{ ref('account_hours') }})

),

opening as (

    select
        days.account_id,
        days.day,
        (days.day + hours.opens_at) at time zone days.time_zone as opens_at,
        (days.day + hours.closes_at) at time zone days.time_zone as closes_at
    from days
    left join {{ ref('account_hours') }} as hours
        on days.primary_phone = hours.account_phone
        and extract(isodow from days.day) = hours.iso_weekday
        and not exists (
            select 1
            from {{ ref('account_holidays') }} as holidays
            where
                holidays.day = days.day
                and holidays.account_phone in ('*', days.primary_phone)
        )

),

measured as (

    select
        *,
        coalesce(greatest(extract(epoch from closes_at - opens_at), 0), 0) as open_seconds
    from opening

),

calendar as (

    select
        *,
        sum(open_seconds) over (partition by account_id order by day) - open_seconds as seconds_before
    from measured

),

responses as (

    select
        turns.conversation_id,
        turns.account_id,
        turns.contact_phone,
        turns.asked_at,
        turns.answered_at,
        round(extract(epoch from turns.answered_at - turns.asked_at)::numeric / 60, 2) as clock_minutes,
        round(
            (
                {{ open_seconds_until('answer', 'turns.answered_at') }}
                - {{ open_seconds_until('question', 'turns.asked_at') }}
            )::numeric / 60,
            2
        ) as business_minutes,
        turns.session_id,
        row_number() over (partition by turns.session_id order by turns.asked_at, turns.turn) = 1 as is_first_in_session,
        turns.inbound,
        turns.is_keyword_only
    from local_turns as turns
    left join calendar as question
        on turns.account_id = question.account_id
        and turns.asked_on = question.day
    left join calendar as answer
        on turns.account_id = answer.account_id
        and turns.answered_on = answer.day

)

select
    conversation_id,
    responses.account_id,
    responses.contact_phone,
    responses.asked_at,
    responses.answered_at,
    responses.clock_minutes,
    responses.business_minutes,
    responses.session_id,
    responses.is_first_in_session,
    responses.inbound,
    responses.is_keyword_only,
    due.conversation_hash
from {{ due_join('responses') }}
