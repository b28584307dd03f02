with stock as (

    select * from {{ ref('int_stock_levelled') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

sales as (

    select
        supplier_id,
        sku_id,
        {{ units('greatest(sum(case when placed_on > ' ~ add_days(as_of_date(), -28) ~ ' then qty_milli else 0 end), 0)') }} as qty_28d,
        {{ units('greatest(sum(qty_milli), 0)') }} as qty_30d
    from {{ ref('fct_order_lines') }}
    where is_merchandise
        and (is_sale or is_return)
        and placed_on > {{ add_days(as_of_date(), -30) }}
        and placed_on <= {{ as_of_date() }}
    group by
        supplier_id,
        sku_id

),

positions as (

    select
        stock.supplier_id,
        stock.sku_id,
        products.title,
        products.category_l2_id,
        stock.stated_qty,
        stock.stated_at,
        coalesce(stock.moved_qty, 0) as moved_qty,
        stock.on_hand_qty,
        stock.lead_time_days,
        coalesce(sales.qty_28d, 0) as qty_28d,
        coalesce(sales.qty_30d, 0) as qty_30d,
        coalesce(sales.qty_28d, 0) / 28 as daily_qty_28d,
        stock.on_hand_qty * stock.supply_price_cents as stock_value_cents,
        stock.origin
    from stock
    left join products on stock.sku_id = products.sku_id
    left join sales
        on stock.supplier_id = sales.supplier_id
        and stock.sku_id = sales.sku_id

),

final as (

    select
        supplier_id,
        sku_id,
        title,
        category_l2_id,
        stated_qty,
        stated_at,
        moved_qty,
        on_hand_qty,
        lead_time_days,
        qty_28d,
        qty_30d,
        cast(daily_qty_28d as double) as daily_qty_28d,
        {{ ratio('on_hand_qty', 'daily_qty_28d') }} as cover_days,
        {{ ratio('qty_30d', 'qty_30d + on_hand_qty') }} as turnover_30d_rate,
        on_hand_qty > 0
            and qty_30d < cast(0.15 as double) * (qty_30d + on_hand_qty) as is_low_turnover,
        on_hand_qty = 0 as is_stock_out,
        stock_value_cents,
        origin
    from positions

)

select * from final
