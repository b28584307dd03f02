with source as (

    select * from {{ source('lake', 'warehouses') }}

),

renamed as (

    select
        cast(warehouse_id as string) as warehouse_id,
        cast(name as string) as name,
        cast(supplier_id as string) as supplier_id,
        cast(region_code as string) as region_code,
        cast(latitude as double) as latitude,
        cast(longitude as double) as longitude,
        cast(capacity_per_day as bigint) as capacity_per_day,
        cast(cut_off_minutes as bigint) as cut_off_minutes,
        cast(working_days as string) as working_days,
        cast(time_zone as string) as time_zone,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
