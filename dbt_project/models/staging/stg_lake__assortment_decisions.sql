with source as (

    select * from {{ source('lake', 'assortment_decisions') }}

),

renamed as (

    select
        cast(merchant_id as string) as merchant_id,
        cast(sku_id as string) as sku_id,
        cast(version as string) as version,
        cast(is_taken as boolean) as is_taken,
        cast(reason_code as string) as reason_code,
        cast(decided_at as {{ instant_type() }}) as decided_at,
        cast(until_at as {{ instant_type() }}) as until_at,
        cast(rank as bigint) as rank,
        cast(basis as string) as basis,
        cast(propensity as double) as propensity,
        cast(category_id as string) as category_id,
        cast(supplier_id as string) as supplier_id,
        cast(expected_qty as double) as expected_qty,
        cast(list_price_cents as bigint) as list_price_cents,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
