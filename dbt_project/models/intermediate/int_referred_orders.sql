with final as (

    select
        consumers.inviter_id,
        orders.consumer_id,
        orders.order_id,
        orders.placed_at,
        orders.is_sale,
        orders.net_sales_cents,
        orders.received_at,
        orders.superseded_at
    from {{ in_this_file(ref('int_orders_known')) }} as orders
    inner join {{ in_this_file(ref('dim_consumers')) }} as consumers
        on orders.consumer_id = consumers.consumer_id
    where consumers.inviter_id is not null

)

select * from final
