with changed as (

    select * from {{ in_this_file(ref('int_orders_changed')) }}

),

-- An order that was deleted is among the changed ones and no longer among the facts.
unchanged as (

    select
        orders.order_id,
        orders.consumer_id,
        orders.merchant_id,
        orders.agent_id,
        orders.channel,
        orders.state,
        orders.freight_cents,
        orders.placed_at,
        orders.is_counted,
        orders.is_sale,
        orders.sold_cents,
        orders.net_sales_cents,
        orders.has_coupon,
        orders.received_at,
        cast(null as {{ instant_type() }}) as superseded_at
    from {{ in_this_file(ref('fct_orders')) }} as orders
    where orders.order_id not in (select changed.order_id from changed)

),

final as (

    select * from unchanged
    union all
    select * from changed

)

select * from final
