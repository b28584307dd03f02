with inventory_movements as (

    select * from {{ ref('stg_lake__inventory_movements') }}

),

final as (

    select
        movement_id,
        warehouse_id,
        sku_id,
        supplier_id,
        qty_delta,
        reason,
        occurred_at,
        {{ local_date('occurred_at') }} as occurred_on,
        origin,
        received_at
    from inventory_movements

)

select * from final
