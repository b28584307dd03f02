{{ config(materialized='table') }}

-- A deletion ends the version before it and is none itself.
with final as (

    select
        cast(consumer_id as string) as consumer_id,
        cast(merchant_id as string) as merchant_id,
        cast(inviter_id as string) as inviter_id,
        cast(registered_at as {{ instant_type() }}) as registered_at,
        cast(acquisition_channel as string) as acquisition_channel,
        cast(birthday as date) as birthday,
        cast(gender as string) as gender,
        cast(city as string) as city,
        cast(household_size as bigint) as household_size,
        cast(income_band as string) as income_band,
        cast(consent_marketing as boolean) as consent_marketing,
        cast(consent_profiling as boolean) as consent_profiling,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(superseded_at as {{ instant_type() }}) as superseded_at
    from {{ lake_history('consumers') }} as history
    where not is_deleted

)

select * from final
