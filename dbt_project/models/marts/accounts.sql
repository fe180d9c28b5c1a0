with

accounts as (

    select * from {{ ref('stg_volt__accounts') }}

),

zones as (

    select * from {{ ref('account_zones') }}

),

-- A misspelt zone in the seed must not stop every mart: it counts as unnamed here, and a test says so.
known_zones as (

    select zones.*
    from zones
    inner join pg_timezone_names
        on zones.time_zone = pg_timezone_names.name

)

select
    accounts.account_id,
    accounts.account_name,
    accounts.organization_id,
    accounts.primary_phone,
    coalesce(known_zones.time_zone, '{{ var("default_time_zone") }}') as time_zone,
    accounts.location,
    accounts.created_at,
    accounts.is_deleted
from accounts
left join known_zones
    on accounts.primary_phone = known_zones.account_phone
