with current_rows as (

    select
        order_id,
        line_no,
        sku_id,
        supplier_id,
        qty_milli,
        qty,
        list_price_cents,
        promo_discount_cents,
        net_paid_cents,
        supply_price_cents,
        returned_order_id,
        returned_line_no,
        received_at,
        origin,
        cast(null as {{ instant_type() }}) as superseded_at
    from {{ ref('stg_lake__order_lines') }}

),

-- A deletion ends the version before it and is none itself.
older_rows as (

    select
        cast(order_id as string) as order_id,
        cast(line_no as bigint) as line_no,
        cast(sku_id as string) as sku_id,
        cast(supplier_id as string) as supplier_id,
        cast(qty_milli as bigint) as qty_milli,
        {{ units('qty_milli') }} as qty,
        cast(list_price_cents as bigint) as list_price_cents,
        cast(promo_discount_cents as bigint) as promo_discount_cents,
        cast(net_paid_cents as bigint) as net_paid_cents,
        cast(supply_price_cents as bigint) as supply_price_cents,
        cast(returned_order_id as string) as returned_order_id,
        cast(returned_line_no as bigint) as returned_line_no,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin,
        cast(superseded_at as {{ instant_type() }}) as superseded_at
    from {{ lake_history('order_lines') }} as history
    where not is_deleted

),

final as (

    select * from current_rows
    union all
    select * from older_rows

)

select * from final
