with

contacts as (

    select
        *,
        {{ conversation_id('account_id', 'contact_phone') }} as conversation_id
    from {{ ref('stg_volt__contacts') }}
    where not is_deleted

),

consent_now as (

    select * from {{ ref('consent_events') }}
    where next_change_at is null

),

texted as (

    select * from {{ ref('int_conversation_totals') }}

)

select
    contacts.contact_id,
    contacts.account_id,
    contacts.conversation_id,
    contacts.contact_phone,
    contacts.name,
    contacts.mapped_number,
    contacts.blocked,
    coalesce(consent_now.effect, 'none') as consent,
    consent_now.changed_at as consent_changed_at,
    not coalesce(contacts.blocked, false)
    and coalesce(consent_now.effect, 'none') <> 'opt_out' as can_text,
    -- A clear word said afterwards settles what free text left open.
    coalesce(
        coalesce(consent_now.effect, 'none') <> 'opt_out'
        and texted.possible_opt_out_at > coalesce(consent_now.changed_at, '-infinity'),
        false
    ) as needs_review,
    coalesce(texted.inbound, 0) as inbound,
    coalesce(texted.outbound, 0) as outbound,
    coalesce(texted.delivered, 0) as delivered,
    contacts.custom_fields,
    contacts.created_at,
    contacts.last_updated_at
from contacts
left join consent_now
    on contacts.conversation_id = consent_now.conversation_id
left join texted
    on contacts.conversation_id = texted.conversation_id
