with orders as (

    select * from {{ ref('stg_lake__orders') }}

),

line_totals as (

    select
        order_id,
        count(*) as line_count,
        sum(case when qty_milli < 0 then 1 else 0 end) as return_line_count,
        {{ units('sum(case when is_merchandise then qty_milli else 0 end)') }} as units,
        cast(sum(list_price_cents) as bigint) as list_price_cents,
        cast(sum(promo_discount_cents) as bigint) as promo_discount_cents,
        cast(sum(coupon_discount_cents) as bigint) as coupon_discount_cents,
        cast(sum(net_paid_cents) as bigint) as net_paid_cents,
        sum(case when qty_milli > 0 then coupon_discount_cents else 0 end) > 0 as has_coupon,
        max(case when is_sale then 1 else 0 end) = 1 as is_sale,
        cast(sum(case when is_sale then net_paid_cents else 0 end) as bigint) as sold_cents,
        cast(sum(case when is_return then -net_paid_cents else 0 end) as bigint) as returned_cents
    from {{ ref('fct_order_lines') }}
    group by order_id

),

final as (

    select
        orders.order_id,
        orders.consumer_id,
        orders.consumer_id is null as is_guest,
        orders.merchant_id,
        orders.agent_id,
        orders.channel,
        orders.status,
        orders.state,
        {{ is_counted('orders.state') }} as is_counted,
        coalesce(line_totals.is_sale, false) as is_sale,
        orders.placed_at,
        {{ local_date('orders.placed_at') }} as placed_on,
        orders.paid_at,
        coalesce(line_totals.line_count, 0) as line_count,
        cast(coalesce(line_totals.return_line_count, 0) as bigint) as return_line_count,
        coalesce(line_totals.units, 0) as units,
        coalesce(line_totals.list_price_cents, 0) as list_price_cents,
        coalesce(line_totals.promo_discount_cents, 0) as promo_discount_cents,
        coalesce(line_totals.coupon_discount_cents, 0) as coupon_discount_cents,
        orders.coupon_discount_cents as header_coupon_discount_cents,
        orders.freight_cents,
        coalesce(line_totals.net_paid_cents, 0) as net_paid_cents,
        coalesce(line_totals.sold_cents, 0) as sold_cents,
        coalesce(line_totals.returned_cents, 0) as returned_cents,
        coalesce(line_totals.sold_cents - line_totals.returned_cents, 0) as net_sales_cents,
        coalesce(line_totals.has_coupon, false) as has_coupon,
        case
            when line_totals.is_sale and orders.consumer_id is not null
                then cast(row_number() over (
                    partition by orders.consumer_id, line_totals.is_sale
                    order by orders.placed_at, orders.order_id
                ) as bigint)
        end as consumer_order_no,
        orders.origin,
        orders.received_at
    from orders
    left join line_totals on orders.order_id = line_totals.order_id

)

-- Stored in time order: a date range reads few row groups, and every build stores the same order.
select * from final
order by placed_at, order_id
