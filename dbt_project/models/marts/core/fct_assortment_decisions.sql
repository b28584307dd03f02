with assortment_decisions as (

    select * from {{ ref('stg_lake__assortment_decisions') }}

),

final as (

    select
        merchant_id,
        sku_id,
        version,
        is_taken,
        reason_code,
        decided_at,
        until_at,
        rank,
        basis,
        propensity,
        category_id,
        supplier_id,
        expected_qty,
        list_price_cents,
        origin,
        received_at
    from assortment_decisions

)

select * from final
