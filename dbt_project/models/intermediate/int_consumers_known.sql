with current_rows as (

    select
        consumers.consumer_id,
        consumers.merchant_id,
        consumers.inviter_id,
        consumers.registered_at,
        consumers.acquisition_channel,
        consumers.birthday,
        consumers.gender,
        consumers.city,
        consumers.household_size,
        consumers.income_band,
        consumers.consent_marketing,
        consumers.consent_profiling,
        consumers.received_at,
        cast(null as {{ instant_type() }}) as superseded_at
    from {{ in_this_file(ref('dim_consumers')) }} as consumers

),

final as (

    select * from current_rows
    union all
    select * from {{ in_this_file(ref('int_consumers_changed')) }}

)

select * from final
