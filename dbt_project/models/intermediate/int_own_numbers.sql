with

learned as (

    select
        account_id,
        phone_number
    from {{ ref('stg_volt__account_numbers') }}

),

primary_phones as (

    select
        account_id,
        primary_phone as phone_number
    from {{ ref('stg_volt__accounts') }}
    where primary_phone <> ''

)

select * from learned
union
select * from primary_phones
