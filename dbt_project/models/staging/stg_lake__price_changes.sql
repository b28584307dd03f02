with source as (

    select * from {{ source('lake', 'price_changes') }}

),

renamed as (

    select
        cast(merchant_id as string) as merchant_id,
        cast(sku_id as string) as sku_id,
        cast(changed_at as {{ instant_type() }}) as changed_at,
        cast(price_cents as bigint) as price_cents,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
