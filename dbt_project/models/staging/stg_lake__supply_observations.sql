with source as (

    select * from {{ source('lake', 'supply_observations') }}

),

renamed as (

    select
        cast(observation_id as string) as observation_id,
        cast(kind as string) as kind,
        cast(supplier_id as string) as supplier_id,
        cast(warehouse_id as string) as warehouse_id,
        cast(sku_id as string) as sku_id,
        cast(shipment_id as string) as shipment_id,
        cast(batch_id as string) as batch_id,
        cast(device_id as string) as device_id,
        cast(place as string) as place,
        cast(status as string) as status,
        cast(qty as bigint) as qty,
        cast(reading as double) as reading,
        cast(reading_unit as string) as reading_unit,
        cast(occurred_at as {{ instant_type() }}) as occurred_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
