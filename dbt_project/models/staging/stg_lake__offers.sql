with source as (

    select * from {{ source('lake', 'offers') }}

),

renamed as (

    select
        cast(supplier_id as string) as supplier_id,
        cast(sku_id as string) as sku_id,
        cast(valid_from as {{ instant_type() }}) as valid_from,
        cast(supply_price_cents as bigint) as supply_price_cents,
        cast(stock_qty as bigint) as stock_qty,
        cast(capacity_per_day as bigint) as capacity_per_day,
        cast(lead_time_days as bigint) as lead_time_days,
        cast(min_order_qty as bigint) as min_order_qty,
        cast(ship_from_region as string) as ship_from_region,
        cast(is_active as boolean) as is_active,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
