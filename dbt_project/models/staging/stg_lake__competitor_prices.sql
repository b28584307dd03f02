with source as (

    select * from {{ source('lake', 'competitor_prices') }}

),

renamed as (

    select
        cast(sku_id as string) as sku_id,
        cast(competitor as string) as competitor,
        cast(observed_at as {{ instant_type() }}) as observed_at,
        cast(price_cents as bigint) as price_cents,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
