{% test keeps_consent(model) %}
{#- Fails for each row that asks to unblock (blocked = false) somebody who may not be texted: blocked in Volt, or opted
    out, whether or not Volt still holds a contact for that number. -#}
with

asked as (

    select
        candidate.account_phone,
        candidate.phone_number,
        {{ conversation_id('accounts.account_id', 'candidate.phone_number') }} as conversation_id
    from {{ model }} as candidate
    inner join {{ ref('accounts') }} as accounts
        on candidate.account_phone = accounts.primary_phone
    where candidate.blocked = false

),

untextable as (

    select conversation_id
    from {{ ref('contacts') }}
    where not can_text

    union

    select conversation_id
    from {{ ref('consent_events') }}
    where
        next_change_at is null
        and effect = 'opt_out'

)

select
    asked.account_phone,
    asked.phone_number
from asked
inner join untextable
    on asked.conversation_id = untextable.conversation_id
{% endtest %}
