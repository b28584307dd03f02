with suppliers as (

    select * from {{ ref('dim_suppliers') }}

),

sales as (

    select
        supplier_id,
        cast(sum(case when is_sale then 1 else 0 end) as bigint) as line_count,
        {{ units('sum(case when is_merchandise then qty_milli else 0 end)') }} as units,
        cast(sum(case when is_return then -net_paid_cents else 0 end) as bigint) as returned_cents,
        cast(sum(net_paid_cents) as bigint) as net_paid_cents,
        cast(sum(
            case when placed_on > {{ add_days(as_of_date(), -90) }} then net_paid_cents else 0 end
        ) as bigint) as net_paid_90d_cents,
        cast(sum(
            case when supply_cost_cents is not null then net_paid_cents else 0 end
        ) as bigint) as costed_net_paid_cents,
        cast(sum(margin_cents) as bigint) as margin_cents,
        max(case when is_sale then placed_on end) as last_sold_on
    from {{ ref('fct_order_lines') }}
    where is_sale or is_return
    group by supplier_id

),

deliveries as (

    select
        supplier_id,
        count(*) as shipment_count,
        sum(case when is_delivered then 1 else 0 end) as delivered_count,
        sum(case when is_late then 1 else 0 end) as late_count,
        {{ mean_days('delivery_days') }} as mean_delivery_days,
        {{ percentile('delivery_days', 0.9) }} as p90_delivery_days,
        max(origin) as delivery_origin
    from {{ ref('fct_shipments') }}
    group by supplier_id

),

after_sales as (

    select
        supplier_id,
        count(*) as case_count,
        sum(case when kind = 'refund' then 1 else 0 end) as refund_count,
        sum(case when kind = 'return' then 1 else 0 end) as return_count,
        sum(case when kind = 'complaint' then 1 else 0 end) as complaint_count,
        sum(refund_cents) as refund_cents,
        max(origin) as after_sale_origin
    from {{ ref('fct_after_sales') }}
    group by supplier_id

),

stock as (

    select
        supplier_id,
        count(*) as offered_sku_count,
        sum(case when on_hand_qty = 0 then 1 else 0 end) as stock_out_sku_count,
        max(origin) as stock_origin
    from {{ ref('int_stock_levelled') }}
    group by supplier_id

),

final as (

    select
        suppliers.supplier_id,
        suppliers.name,
        suppliers.channel,
        suppliers.is_active,
        -- Filled from the published grades when the file is handed to analysts: their rule has one home.
        cast(null as string) as grade,
        cast(null as string) as gate,
        cast(null as double) as score,
        cast(null as double) as score_low,
        cast(null as date) as graded_on,
        coalesce(sales.line_count, 0) as line_count,
        coalesce(sales.units, 0) as units,
        coalesce(sales.returned_cents, 0) as returned_cents,
        coalesce(sales.net_paid_cents, 0) as net_paid_cents,
        coalesce(sales.net_paid_90d_cents, 0) as net_paid_90d_cents,
        sales.margin_cents,
        {{ ratio('sales.margin_cents', 'sales.costed_net_paid_cents') }} as margin_rate,
        sales.last_sold_on,
        coalesce(deliveries.shipment_count, 0) as shipment_count,
        cast(coalesce(deliveries.delivered_count, 0) as bigint) as delivered_count,
        cast(coalesce(deliveries.late_count, 0) as bigint) as late_count,
        {{ ratio('deliveries.late_count', 'deliveries.shipment_count') }} as late_rate,
        deliveries.mean_delivery_days,
        deliveries.p90_delivery_days,
        coalesce(after_sales.case_count, 0) as after_sale_count,
        cast(coalesce(after_sales.refund_count, 0) as bigint) as refund_count,
        cast(coalesce(after_sales.return_count, 0) as bigint) as return_count,
        cast(coalesce(after_sales.complaint_count, 0) as bigint) as complaint_count,
        cast(coalesce(after_sales.refund_cents, 0) as bigint) as refund_cents,
        {{ ratio('coalesce(after_sales.case_count, 0)', 'sales.line_count') }} as after_sale_rate,
        coalesce(stock.offered_sku_count, 0) as offered_sku_count,
        cast(coalesce(stock.stock_out_sku_count, 0) as bigint) as stock_out_sku_count,
        {{ ratio('stock.stock_out_sku_count', 'stock.offered_sku_count') }} as stock_out_rate,
        deliveries.delivery_origin,
        after_sales.after_sale_origin,
        stock.stock_origin
    from suppliers
    left join sales on suppliers.supplier_id = sales.supplier_id
    left join deliveries on suppliers.supplier_id = deliveries.supplier_id
    left join after_sales on suppliers.supplier_id = after_sales.supplier_id
    left join stock on suppliers.supplier_id = stock.supplier_id

)

select * from final
