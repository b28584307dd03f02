with sessions as (

    select * from {{ ref('int_sessions_summarised') }}

),

channels as (

    select * from {{ ref('int_consumers_channelled') }}

),

-- Credit notes without a sale give money back on their day, but are no orders.
orders as (

    select * from {{ ref('fct_orders') }}
    where is_counted

),

-- Events do not say their channel: a session counts for the channel in which its consumer orders most.
channelled as (

    select
        sessions.*,
        coalesce(channels.main_channel, 'unknown') as channel
    from sessions
    left join channels on sessions.consumer_id = channels.consumer_id

),

converted as (

    select distinct sessions.session_id
    from sessions
    inner join orders
        on sessions.consumer_id = orders.consumer_id
        and sessions.started_on = orders.placed_on
        and orders.placed_at >= sessions.started_at
    where orders.is_sale

),

session_days as (

    select
        channelled.started_on as date_on,
        channelled.channel,
        count(*) as sessions,
        sum(case when channelled.origin = 'overlay' then 1 else 0 end) as overlay_sessions,
        count(distinct case when channelled.view_count > 0 then channelled.visitor_id end) as viewers,
        sum(case when channelled.cart_count > 0 then 1 else 0 end) as carts,
        sum(case when channelled.checkout_count > 0 then 1 else 0 end) as checkouts,
        sum(case when converted.session_id is not null then 1 else 0 end) as converted_sessions
    from channelled
    left join converted on channelled.session_id = converted.session_id
    group by
        channelled.started_on,
        channelled.channel

),

order_days as (

    select
        placed_on as date_on,
        channel,
        cast(sum(case when is_sale then 1 else 0 end) as bigint) as orders,
        cast(sum(net_sales_cents) as bigint) as net_paid_cents
    from orders
    group by
        placed_on,
        channel

),

keys as (

    select date_on, channel from session_days
    union
    select date_on, channel from order_days

),

final as (

    select
        keys.date_on,
        keys.channel,
        coalesce(session_days.sessions, 0) as sessions,
        cast(coalesce(session_days.overlay_sessions, 0) as bigint) as overlay_sessions,
        coalesce(session_days.viewers, 0) as viewers,
        cast(coalesce(session_days.carts, 0) as bigint) as carts,
        cast(coalesce(session_days.checkouts, 0) as bigint) as checkouts,
        cast(coalesce(session_days.converted_sessions, 0) as bigint) as converted_sessions,
        {{ ratio('session_days.converted_sessions', 'session_days.sessions') }} as conversion_rate,
        coalesce(order_days.orders, 0) as orders,
        coalesce(order_days.net_paid_cents, 0) as net_paid_cents
    from keys
    left join session_days
        on keys.date_on = session_days.date_on
        and keys.channel = session_days.channel
    left join order_days
        on keys.date_on = order_days.date_on
        and keys.channel = order_days.channel

)

select * from final
