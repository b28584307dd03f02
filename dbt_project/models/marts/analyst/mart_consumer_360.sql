with consumers as (

    select * from {{ ref('dim_consumers') }}

),

orders as (

    select
        consumer_id,
        cast(sum(case when is_sale then 1 else 0 end) as bigint) as order_count,
        sum(
            case when is_sale and placed_on > {{ add_days(as_of_date(), -90) }} then 1 else 0 end
        ) as order_90d_count,
        cast(sum(sold_cents) as bigint) as sold_cents,
        cast(sum(returned_cents) as bigint) as returned_cents,
        cast(sum(net_sales_cents) as bigint) as net_paid_cents,
        cast(sum(
            case when placed_on > {{ add_days(as_of_date(), -90) }} then net_sales_cents else 0 end
        ) as bigint) as net_paid_90d_cents,
        cast(sum(case when is_sale then coupon_discount_cents else 0 end) as bigint) as coupon_discount_cents,
        {{ ratio('sum(case when is_sale and has_coupon then 1 else 0 end)', 'sum(case when is_sale then 1 else 0 end)') }}
            as coupon_order_rate,
        count(distinct case when is_sale then merchant_id end) as merchant_count,
        max(case when is_sale then placed_on end) as last_order_on
    from {{ ref('fct_orders') }}
    where is_counted and consumer_id is not null
    group by consumer_id

),

lines as (

    select
        consumer_id,
        count(distinct case when is_sale then sku_id end) as sku_count,
        count(distinct case when is_sale then category_l2_id end) as category_count,
        {{ units('sum(qty_milli)') }} as units,
        {{ ratio(
            'sum(case when is_sale and (is_on_display or is_on_mailer) then 1 else 0 end)',
            'sum(case when is_sale then 1 else 0 end)'
        ) }} as promoted_line_rate
    from {{ ref('fct_order_lines') }}
    where is_merchandise and (is_sale or is_return) and consumer_id is not null
    group by consumer_id

),

category_spend as (

    select
        consumer_id,
        category_l2_id,
        sum(net_paid_cents) as net_paid_cents
    from {{ ref('fct_order_lines') }}
    where is_merchandise and is_sale and consumer_id is not null
    group by
        consumer_id,
        category_l2_id

),

ranked_categories as (

    select
        consumer_id,
        category_l2_id,
        row_number() over (
            partition by consumer_id
            order by net_paid_cents desc, category_l2_id
        ) as category_rank
    from category_spend

),

top_categories as (

    select
        consumer_id,
        category_l2_id as top_category_l2_id
    from ranked_categories
    where category_rank = 1

),

channels as (

    select * from {{ ref('int_consumers_channelled') }}

),

after_sales as (

    select
        consumer_id,
        count(*) as after_sale_count
    from {{ ref('fct_after_sales') }}
    group by consumer_id

),

sessions as (

    select
        consumer_id,
        count(*) as session_28d_count,
        max(origin) as session_origin
    from {{ ref('int_sessions_summarised') }}
    where consumer_id is not null
        and started_on > {{ add_days(as_of_date(), -28) }}
        and started_on <= {{ as_of_date() }}
    group by consumer_id

),

final as (

    select
        consumers.consumer_id,
        consumers.merchant_id,
        consumers.registered_at,
        consumers.gender,
        consumers.city,
        consumers.household_size,
        consumers.income_band,
        consumers.consent_marketing,
        consumers.consent_profiling,
        consumers.first_order_at,
        consumers.last_order_at,
        {{ days_between('orders.last_order_on', as_of_date()) }} as recency_days,
        coalesce(orders.order_count, 0) as order_count,
        cast(coalesce(orders.order_90d_count, 0) as bigint) as order_90d_count,
        coalesce(orders.sold_cents, 0) as sold_cents,
        coalesce(orders.returned_cents, 0) as returned_cents,
        coalesce(orders.net_paid_cents, 0) as net_paid_cents,
        coalesce(orders.net_paid_90d_cents, 0) as net_paid_90d_cents,
        coalesce(orders.coupon_discount_cents, 0) as coupon_discount_cents,
        {{ ratio('orders.net_paid_cents', 'orders.order_count') }} as mean_order_cents,
        orders.coupon_order_rate,
        coalesce(orders.merchant_count, 0) as merchant_count,
        coalesce(lines.sku_count, 0) as sku_count,
        coalesce(lines.category_count, 0) as category_count,
        coalesce(lines.units, 0) as units,
        lines.promoted_line_rate,
        top_categories.top_category_l2_id,
        channels.main_channel,
        coalesce(after_sales.after_sale_count, 0) as after_sale_count,
        coalesce(sessions.session_28d_count, 0) as session_28d_count,
        sessions.session_origin,
        consumers.origin
    from consumers
    left join orders on consumers.consumer_id = orders.consumer_id
    left join lines on consumers.consumer_id = lines.consumer_id
    left join top_categories on consumers.consumer_id = top_categories.consumer_id
    left join channels on consumers.consumer_id = channels.consumer_id
    left join after_sales on consumers.consumer_id = after_sales.consumer_id
    left join sessions on consumers.consumer_id = sessions.consumer_id

)

select * from final
