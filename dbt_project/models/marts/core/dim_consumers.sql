with consumers as (

    select * from {{ ref('stg_lake__consumers') }}

),

order_times as (

    select
        consumer_id,
        min(placed_at) as first_order_at,
        max(placed_at) as last_order_at
    from {{ ref('int_order_lines_classified') }}
    where is_current and is_sale and consumer_id is not null
    group by consumer_id

),

final as (

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
        order_times.first_order_at,
        order_times.last_order_at,
        consumers.origin,
        consumers.received_at
    from consumers
    left join order_times on consumers.consumer_id = order_times.consumer_id

)

select * from final
