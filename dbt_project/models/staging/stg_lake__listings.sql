with source as (

    select * from {{ source('lake', 'listings') }}

),

renamed as (

    select
        cast(merchant_id as string) as merchant_id,
        cast(sku_id as string) as sku_id,
        cast(valid_from as {{ instant_type() }}) as valid_from,
        cast(list_price_cents as bigint) as list_price_cents,
        cast(pricing_mode as string) as pricing_mode,
        cast(is_listed as boolean) as is_listed,
        cast(title as string) as title,
        cast(image_hash as string) as image_hash,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
