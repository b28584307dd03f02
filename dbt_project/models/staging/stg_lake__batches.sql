with source as (

    select * from {{ source('lake', 'batches') }}

),

renamed as (

    select
        cast(batch_id as string) as batch_id,
        cast(sku_id as string) as sku_id,
        cast(supplier_id as string) as supplier_id,
        cast(produced_on as date) as produced_on,
        cast(expires_on as date) as expires_on,
        cast(qty as bigint) as qty,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
