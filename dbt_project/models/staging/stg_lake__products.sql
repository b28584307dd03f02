with source as (

    select * from {{ source('lake', 'products') }}

),

renamed as (

    select
        cast(sku_id as string) as sku_id,
        cast(title as string) as title,
        cast(category_id as string) as category_id,
        cast(brand_id as string) as brand_id,
        cast(manufacturer_id as string) as manufacturer_id,
        cast(pack_size as string) as pack_size,
        cast(gtin as string) as gtin,
        cast(unit as string) as unit,
        cast(launched_on as date) as launched_on,
        cast(role as string) as role,
        cast(is_private_label as boolean) as is_private_label,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
