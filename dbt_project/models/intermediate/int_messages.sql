-- depends_on: {{ ref('int_own_numbers') }}
-- depends_on: {{ ref('stg_volt__contacts') }}
-- depends_on: {{ ref('int_contact_by_phone') }}
{{ message_sides(ref('stg_volt__messages'), ref('int_message_directions')) }}
