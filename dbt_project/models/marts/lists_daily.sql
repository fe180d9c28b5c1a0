with

lists as (

    select
        lists.list_id,
        lists.list_name,
        lists.account_id,
        coalesce(accounts.time_zone, '{{ var("default_time_zone") }}') as time_zone
    from {{ ref('stg_volt__lists') }} as lists
    left join {{ ref('accounts') }} as accounts
        on lists.account_id = accounts.account_id

),

-- The last size of a day is the day's size.
days as (

    select distinct on (list_id, day)
        lists.list_id,
        lists.list_name,
        lists.account_id,
        lists.time_zone,
        (sizes.observed_at at time zone lists.time_zone)::date as day,
        sizes.size
    from {{ ref('stg_volt__list_sizes') }} as sizes
    inner join lists
        on sizes.list_id = lists.list_id
    order by
        lists.list_id,
        day,
        sizes.observed_at desc

),

ended as (

    select
        *,
        (day + 1)::timestamp at time zone time_zone as ends_at
    from days

),

seen as (

    select
        ended.list_id,
        ended.day,
        count(*) as members_seen
    from ended
    inner join {{ ref('list_members') }} as members
        on ended.list_id = members.list_id
        and members.joined_at < ended.ends_at
        and (members.left_at is null or members.left_at >= ended.ends_at)
    group by
        ended.list_id,
        ended.day

)

select
    ended.list_id,
    ended.list_name,
    ended.account_id,
    ended.day,
    ended.size,
    ended.size - lag(ended.size) over (partition by ended.list_id order by ended.day) as net_change,
    coalesce(seen.members_seen, 0) as members_seen
from ended
left join seen
    on ended.list_id = seen.list_id
    and ended.day = seen.day
