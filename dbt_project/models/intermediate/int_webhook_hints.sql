with

events as (

    select * from {{ ref('stg_volt_ops__webhook_events') }}
    where
        message_id is not null
        and direction in ('inbound', 'outbound')

)

select distinct on (message_id)
    message_id,
    direction
from events
order by
    message_id,
    event_id desc
