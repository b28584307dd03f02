with order_lines as (

    select * from {{ ref('int_order_lines_versioned') }}

),

orders as (

    select * from {{ ref('int_orders_versioned') }}

),

products as (

    select * from {{ ref('int_products_categorised') }}

),

-- Versions of a line meet the versions of its order that were known at the same time; the newest meet each other.
classified as (

    select
        order_lines.order_id,
        order_lines.line_no,
        orders.consumer_id,
        orders.merchant_id,
        order_lines.sku_id,
        coalesce(order_lines.supplier_id, products.supplier_id) as supplier_id,
        coalesce(products.category_l1_id, 'unknown') as category_l1_id,
        coalesce(products.category_l2_id, 'unknown') as category_l2_id,
        coalesce(products.category_l3_id, 'unknown') as category_l3_id,
        orders.agent_id,
        orders.channel,
        orders.state,
        orders.freight_cents,
        orders.placed_at,
        {{ local_date('orders.placed_at') }} as placed_on,
        {{ is_counted('orders.state') }} as is_counted,
        order_lines.qty_milli,
        order_lines.qty,
        order_lines.list_price_cents,
        order_lines.promo_discount_cents,
        order_lines.list_price_cents
            - order_lines.promo_discount_cents
            - order_lines.net_paid_cents as coupon_discount_cents,
        order_lines.net_paid_cents,
        order_lines.supply_price_cents,
        order_lines.returned_order_id,
        order_lines.returned_line_no,
        coalesce(products.line_kind, 'merchandise') as line_kind,
        order_lines.origin,
        order_lines.received_at,
        greatest(order_lines.received_at, orders.received_at) as known_at,
        least(order_lines.superseded_at, orders.superseded_at) as superseded_at
    from order_lines
    left join orders
        on order_lines.order_id = orders.order_id
        and {{ is_known_before('order_lines.received_at', 'orders.superseded_at') }}
        and {{ is_known_before('orders.received_at', 'order_lines.superseded_at') }}
    left join products on order_lines.sku_id = products.sku_id

),

final as (

    select
        *,
        {{ week_start('placed_on') }} as week_start_on,
        superseded_at is null as is_current,
        is_counted and qty_milli > 0 as is_sale,
        is_counted and qty_milli < 0 as is_return,
        line_kind = 'merchandise' as is_merchandise
    from classified

)

select * from final
