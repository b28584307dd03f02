with offers as (

    select * from {{ ref('int_offers_versioned') }}

),

final as (

    select
        supplier_id,
        sku_id,
        valid_from,
        valid_to,
        is_current,
        is_active,
        supply_price_cents,
        stock_qty,
        capacity_per_day,
        stated_capacity_per_day,
        lead_time_days,
        min_order_qty,
        ship_from_region,
        origin,
        received_at
    from offers

)

select * from final
