with order_lines as (

    select * from {{ ref('stg_lake__order_lines') }}

),

orders as (

    select * from {{ ref('stg_lake__orders') }}

),

products as (

    select * from {{ ref('int_products_categorised') }}

),

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
        orders.channel,
        orders.placed_at,
        {{ local_date('orders.placed_at') }} as placed_on,
        {{ is_counted('orders.state') }} as is_counted,
        order_lines.qty_milli,
        {{ units('order_lines.qty_milli') }} as qty,
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
        order_lines.received_at
    from order_lines
    left join orders on order_lines.order_id = orders.order_id
    left join products on order_lines.sku_id = products.sku_id

),

final as (

    select
        *,
        {{ week_start('placed_on') }} as week_start_on,
        is_counted and qty_milli > 0 as is_sale,
        is_counted and qty_milli < 0 as is_return,
        line_kind = 'merchandise' as is_merchandise
    from classified

)

select * from final
