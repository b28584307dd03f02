-- Versions of an order meet the versions of its buyer's row that were known at the same time.
with final as (

    select
        consumers.inviter_id,
        orders.consumer_id,
        orders.order_id,
        orders.placed_at,
        orders.is_sale,
        orders.net_sales_cents,
        greatest(orders.received_at, consumers.received_at, consumers.registered_at) as received_at,
        least(orders.superseded_at, consumers.superseded_at) as superseded_at
    from {{ in_this_file(ref('int_orders_known')) }} as orders
    inner join {{ in_this_file(ref('int_consumers_known')) }} as consumers
        on orders.consumer_id = consumers.consumer_id
        and {{ is_known_before('orders.received_at', 'consumers.superseded_at') }}
        and {{ is_known_before('consumers.received_at', 'orders.superseded_at') }}
    where consumers.inviter_id is not null

)

select * from final
