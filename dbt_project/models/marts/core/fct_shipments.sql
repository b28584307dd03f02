with shipments as (

    select * from {{ ref('stg_lake__shipments') }}

),

orders as (

    select * from {{ ref('stg_lake__orders') }}

),

-- Late: arrived after the promise, or still under way when the promise has passed.
final as (

    select
        shipments.shipment_id,
        shipments.order_id,
        shipments.supplier_id,
        orders.consumer_id,
        orders.merchant_id,
        shipments.from_region,
        shipments.to_region,
        orders.placed_at,
        shipments.promised_at,
        shipments.shipped_at,
        shipments.delivered_at,
        {{ local_date('shipments.delivered_at') }} as delivered_on,
        shipments.last_node,
        shipments.last_node_at,
        shipments.delivered_at is not null as is_delivered,
        case
            when shipments.delivered_at is not null then shipments.delivered_at > shipments.promised_at
            else {{ as_of() }} > shipments.promised_at
        end as is_late,
        {{ elapsed_days('orders.placed_at', 'shipments.delivered_at') }} as delivery_days,
        shipments.origin,
        shipments.received_at
    from shipments
    left join orders on shipments.order_id = orders.order_id

)

select * from final
