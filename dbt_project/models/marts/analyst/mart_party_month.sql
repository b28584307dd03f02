with orders as (

    select * from {{ ref('int_orders_by_party') }}

),

lines as (

    select
        order_id,
        sum(margin_cents) as margin_cents,
        sum(case when margin_cents is not null then net_paid_cents else 0 end) as costed_cents
    from {{ ref('fct_order_lines') }}
    where is_sale or is_return
    group by order_id

),

order_span as (

    select
        min(month_start_on) as first_on,
        max(month_start_on) as last_on
    from orders

),

-- Also those in which nobody ordered: a month is followed by the next one of the calendar.
months as (

    select distinct dates.month_start_on
    from {{ ref('dim_dates') }} as dates
    inner join order_span
        on dates.month_start_on between order_span.first_on and order_span.last_on

),

registered as (

    select
        'merchant' as party_type,
        merchant_id as party_id,
        merchant_id,
        scene as level,
        region_code,
        joined_on,
        true as is_active
    from {{ ref('dim_merchants') }}
    union all
    select
        'agent' as party_type,
        agent_id as party_id,
        merchant_id,
        tier as level,
        region_code,
        joined_on,
        is_active
    from {{ ref('dim_agents') }}

),

-- A sale that is the first, or not the first, of a known consumer with this party.
sale_places as (

    select
        party_type,
        party_id,
        order_id,
        row_number() over (
            partition by party_type, party_id, consumer_id
            order by placed_at, order_id
        ) as place
    from orders
    where is_sale and consumer_id is not null

),

-- A guest's order has a buyer of its own.
by_buyer as (

    select
        orders.party_type,
        orders.party_id,
        orders.month_start_on,
        orders.consumer_id,
        coalesce(orders.consumer_id, orders.order_id) as buyer_id,
        sum(case when orders.is_sale then 1 else 0 end) as order_count,
        sum(orders.sold_cents) as sold_cents,
        sum(orders.net_sales_cents) as net_sales_cents,
        sum(orders.sold_cents + case when orders.state = 'refunded' then orders.net_paid_cents else 0 end)
            as paid_cents,
        sum(orders.returned_cents + case when orders.state = 'refunded' then orders.net_paid_cents else 0 end)
            as refunded_cents,
        sum(lines.margin_cents) as margin_cents,
        sum(coalesce(lines.costed_cents, 0)) as costed_cents,
        max(sale_places.place) as last_place,
        min(sale_places.place) as first_place
    from orders
    left join lines on orders.order_id = lines.order_id
    left join sale_places
        on orders.party_type = sale_places.party_type
        and orders.party_id = sale_places.party_id
        and orders.order_id = sale_places.order_id
    group by
        orders.party_type,
        orders.party_id,
        orders.month_start_on,
        orders.consumer_id,
        coalesce(orders.consumer_id, orders.order_id)

),

sold as (

    select
        party_type,
        party_id,
        month_start_on,
        sum(order_count) as order_count,
        sum(case when consumer_id is not null then order_count else 0 end) as known_order_count,
        sum(net_sales_cents) as net_sales_cents,
        sum(cast(net_sales_cents as double) * net_sales_cents) as net_sales_square,
        sum(paid_cents) as paid_cents,
        sum(refunded_cents) as refunded_cents,
        sum(margin_cents) as margin_cents,
        sum(costed_cents) as costed_cents,
        sum(case when last_place is not null then 1 else 0 end) as buyer_count,
        sum(case when first_place = 1 then 1 else 0 end) as new_buyer_count,
        sum(case when last_place > 1 then 1 else 0 end) as repeat_buyer_count
    from by_buyer
    group by
        party_type,
        party_id,
        month_start_on

),

settled_lines as (

    select
        'merchant' as party_type,
        merchant_id as party_id,
        {{ utc_month('released_at') }} as month_start_on,
        coalesce(consumer_id, order_id) as buyer_id,
        kept_cents
    from {{ ref('int_lines_settled') }}
    where released_at is not null and merchant_id is not null
    union all
    select
        'agent' as party_type,
        agent_id as party_id,
        {{ utc_month('agent_released_at') }} as month_start_on,
        coalesce(consumer_id, order_id) as buyer_id,
        kept_cents
    from {{ ref('int_lines_settled') }}
    where agent_released_at is not null

),

settled_by_buyer as (

    select
        party_type,
        party_id,
        month_start_on,
        buyer_id,
        sum(kept_cents) as kept_cents
    from settled_lines
    group by
        party_type,
        party_id,
        month_start_on,
        buyer_id

),

settled as (

    select
        party_type,
        party_id,
        month_start_on,
        sum(kept_cents) as settled_cents,
        sum(cast(kept_cents as double) * kept_cents) as settled_square
    from settled_by_buyer
    group by
        party_type,
        party_id,
        month_start_on

),

-- Who bought from the party within twelve months, the month itself included.
customers as (

    select distinct
        by_buyer.party_type,
        by_buyer.party_id,
        months.month_start_on,
        by_buyer.consumer_id
    from by_buyer
    inner join months
        on months.month_start_on >= by_buyer.month_start_on
        and by_buyer.month_start_on > cast({{ dbt.dateadd('month', -12, 'months.month_start_on') }} as date)
    where by_buyer.last_place is not null

),

visits as (

    select
        consumer_id,
        {{ utc_month('occurred_at') }} as month_start_on,
        max(case when event_type = 'add_to_cart' then 1 else 0 end) as has_cart
    from {{ ref('fct_events') }}
    where consumer_id is not null
    group by
        consumer_id,
        {{ utc_month('occurred_at') }}

),

funnel as (

    select
        customers.party_type,
        customers.party_id,
        customers.month_start_on,
        count(*) as customer_count,
        count(visits.consumer_id) as visitor_count,
        sum(coalesce(visits.has_cart, 0)) as cart_count
    from customers
    left join visits
        on customers.consumer_id = visits.consumer_id
        and customers.month_start_on = visits.month_start_on
    group by
        customers.party_type,
        customers.party_id,
        customers.month_start_on

),

-- Also whoever left: without the months in which it sold nothing, nobody would seem to fall silent.
keys as (

    select
        registered.party_type,
        registered.party_id,
        months.month_start_on
    from registered
    inner join months
        on registered.joined_on is null
        or registered.joined_on < cast({{ dbt.dateadd('month', 1, 'months.month_start_on') }} as date)
    union
    select party_type, party_id, month_start_on from sold
    union
    select party_type, party_id, month_start_on from settled

),

final as (

    select
        keys.party_type,
        keys.party_id,
        keys.month_start_on,
        case when keys.party_type = 'merchant' then keys.party_id else registered.merchant_id end as merchant_id,
        coalesce(registered.level, 'unknown') as level,
        coalesce(registered.region_code, 'unknown') as region_code,
        case
            when registered.joined_on is null then 'unknown'
            when {{ days_between('registered.joined_on', 'keys.month_start_on') }} < 90 then 'under_3_months'
            when {{ days_between('registered.joined_on', 'keys.month_start_on') }} < 365 then 'under_1_year'
            else 'from_1_year'
        end as tenure,
        coalesce(registered.is_active, true) as is_active,
        cast(coalesce(sold.order_count, 0) as bigint) as order_count,
        cast(coalesce(sold.known_order_count, 0) as bigint) as known_order_count,
        cast(coalesce(sold.net_sales_cents, 0) as bigint) as net_sales_cents,
        coalesce(sold.net_sales_square, 0) as net_sales_square,
        cast(coalesce(settled.settled_cents, 0) as bigint) as settled_cents,
        coalesce(settled.settled_square, 0) as settled_square,
        cast(coalesce(sold.paid_cents, 0) as bigint) as paid_cents,
        cast(coalesce(sold.refunded_cents, 0) as bigint) as refunded_cents,
        cast(sold.margin_cents as bigint) as margin_cents,
        cast(coalesce(sold.costed_cents, 0) as bigint) as costed_cents,
        cast(coalesce(sold.buyer_count, 0) as bigint) as buyer_count,
        cast(coalesce(sold.new_buyer_count, 0) as bigint) as new_buyer_count,
        cast(coalesce(sold.repeat_buyer_count, 0) as bigint) as repeat_buyer_count,
        cast(coalesce(funnel.customer_count, 0) as bigint) as customer_count,
        cast(coalesce(funnel.visitor_count, 0) as bigint) as visitor_count,
        cast(coalesce(funnel.cart_count, 0) as bigint) as cart_count
    from keys
    left join registered
        on keys.party_type = registered.party_type
        and keys.party_id = registered.party_id
    left join sold
        on keys.party_type = sold.party_type
        and keys.party_id = sold.party_id
        and keys.month_start_on = sold.month_start_on
    left join settled
        on keys.party_type = settled.party_type
        and keys.party_id = settled.party_id
        and keys.month_start_on = settled.month_start_on
    left join funnel
        on keys.party_type = funnel.party_type
        and keys.party_id = funnel.party_id
        and keys.month_start_on = funnel.month_start_on

)

select * from final
