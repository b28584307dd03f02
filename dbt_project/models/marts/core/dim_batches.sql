with batches as (

    select * from {{ ref('stg_lake__batches') }}

),

final as (

    select
        batch_id,
        sku_id,
        supplier_id,
        produced_on,
        expires_on,
        qty,
        origin,
        received_at
    from batches

)

select * from final
