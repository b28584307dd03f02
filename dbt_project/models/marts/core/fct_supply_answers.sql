with supply_answers as (

    select * from {{ ref('stg_lake__supply_answers') }}

),

final as (

    select
        order_id,
        line_no,
        supplier_id,
        sku_id,
        ordered_qty,
        confirmed_qty,
        answered_at,
        origin,
        received_at
    from supply_answers

)

select * from final
