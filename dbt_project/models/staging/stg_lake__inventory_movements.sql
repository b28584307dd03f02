with source as (

    select * from {{ source('lake', 'inventory_movements') }}

),

renamed as (

    select
        cast(movement_id as string) as movement_id,
        cast(warehouse_id as string) as warehouse_id,
        cast(sku_id as string) as sku_id,
        cast(supplier_id as string) as supplier_id,
        cast(qty_delta as bigint) as qty_delta,
        cast(reason as string) as reason,
        cast(occurred_at as {{ instant_type() }}) as occurred_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
