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

members as (

    select * from {{ ref('list_members') }}
    where
        left_at is null
        or left_at > joined_at

),

-- Who was on a list is counted in one walk through time: one more for who joins, one less for who leaves.
moved as (

    select
        list_id,
        cast(null as date) as day,
        joined_at as moment,
        1 as step
    from members

    union all

    select
        list_id,
        null,
        left_at,
        -1
    from members
    where left_at is not null

    union all

    select
        list_id,
        day,
        ends_at,
        0
    from ended

),

-- Who joins or leaves in the instant in which a day ends does so on the next.
seen as (

    select
        list_id,
        day,
        sum(step) over (
            partition by list_id
            order by moment, day is null
            rows unbounded preceding
        ) as members_seen
    from moved

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
