{{ config(materialized='table') }}

with lines as (

    select * from {{ ref('int_order_lines_changed') }}

),

moments as (

    select order_id, received_at as known_at from lines
    union
    select order_id, superseded_at as known_at from lines where superseded_at is not null

),

-- Between two moments nothing new came in of the order.
spans as (

    select
        order_id,
        known_at,
        lead(known_at) over (partition by order_id order by known_at) as superseded_at
    from moments

),

-- The order as its lines stood then; after a deletion nothing stands.
final as (

    select
        spans.order_id,
        max(lines.consumer_id) as consumer_id,
        max(lines.merchant_id) as merchant_id,
        max(lines.agent_id) as agent_id,
        max(lines.channel) as channel,
        max(lines.state) as state,
        max(lines.freight_cents) as freight_cents,
        max(lines.placed_at) as placed_at,
        max(case when lines.is_counted then 1 else 0 end) = 1 as is_counted,
        max(case when lines.is_sale then 1 else 0 end) = 1 as is_sale,
        cast(sum(case when lines.is_sale then lines.net_paid_cents else 0 end) as bigint) as sold_cents,
        cast(sum(
            case when lines.is_sale or lines.is_return then lines.net_paid_cents else 0 end
        ) as bigint) as net_sales_cents,
        sum(case when lines.qty > 0 then lines.coupon_discount_cents else 0 end) > 0 as has_coupon,
        spans.known_at as received_at,
        spans.superseded_at
    from spans
    inner join lines
        on spans.order_id = lines.order_id
        and spans.known_at >= lines.received_at
        and {{ is_known_before('spans.known_at', 'lines.superseded_at') }}
    group by
        spans.order_id,
        spans.known_at,
        spans.superseded_at

)

select * from final
