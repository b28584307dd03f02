with purchase_lines as (

    select * from {{ ref('stg_lake__purchase_lines') }}

),

-- Due: what the supplier promised, else what its lead time let expect.
final as (

    select
        purchase_order_id,
        sku_id,
        supplier_id,
        status,
        ordered_qty,
        confirmed_qty,
        received_qty,
        placed_at,
        expected_on,
        promised_on,
        arrived_at,
        {{ local_date('arrived_at') }} as arrived_on,
        coalesce(promised_on, expected_on) as due_on,
        origin,
        received_at
    from purchase_lines

)

select * from final
