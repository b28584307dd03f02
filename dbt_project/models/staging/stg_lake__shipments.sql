with source as (

    select * from {{ source('lake', 'shipments') }}

),

renamed as (

    select
        cast(shipment_id as string) as shipment_id,
        cast(order_id as string) as order_id,
        cast(supplier_id as string) as supplier_id,
        cast(from_region as string) as from_region,
        cast(to_region as string) as to_region,
        cast(promised_at as {{ instant_type() }}) as promised_at,
        cast(shipped_at as {{ instant_type() }}) as shipped_at,
        cast(delivered_at as {{ instant_type() }}) as delivered_at,
        cast(last_node as string) as last_node,
        cast(last_node_at as {{ instant_type() }}) as last_node_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
