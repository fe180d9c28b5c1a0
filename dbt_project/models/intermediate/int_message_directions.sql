-- depends_on: {{ ref('int_own_numbers') }}
-- depends_on: {{ ref('int_webhook_hints') }}
{{ message_directions(ref('stg_volt__messages')) }}
