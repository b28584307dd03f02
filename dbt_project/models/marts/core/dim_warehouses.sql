with warehouses as (

    select * from {{ ref('stg_lake__warehouses') }}

),

final as (

    select
        warehouse_id,
        name,
        supplier_id,
        region_code,
        latitude,
        longitude,
        latitude is not null as has_coordinates,
        capacity_per_day,
        cut_off_minutes,
        working_days,
        time_zone,
        origin,
        received_at
    from warehouses

)

select * from final
