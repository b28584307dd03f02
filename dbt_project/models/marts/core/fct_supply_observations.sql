with supply_observations as (

    select * from {{ ref('stg_lake__supply_observations') }}

),

final as (

    select
        observation_id,
        kind,
        supplier_id,
        warehouse_id,
        sku_id,
        shipment_id,
        batch_id,
        device_id,
        place,
        status,
        qty,
        reading,
        reading_unit,
        occurred_at,
        {{ local_date('occurred_at') }} as occurred_on,
        origin,
        received_at
    from supply_observations

)

select * from final
