-- A zone in seeds/account_zones.csv that Postgres does not know is misspelt; its account counts as var
-- default_time_zone until that is put right, so this warns and stops nothing.
{{ config(severity='warn') }}

select
    zones.account_phone,
    zones.time_zone
from {{ ref('account_zones') }} as zones
left join pg_timezone_names
    on zones.time_zone = pg_timezone_names.name
where pg_timezone_names.name is null
