with source as (

    select * from {{ source('lake', 'order_lines') }}

),

renamed as (

    select
        cast(order_id as string) as order_id,
        cast(line_no as bigint) as line_no,
        cast(sku_id as string) as sku_id,
        cast(supplier_id as string) as supplier_id,
        cast(qty_milli as bigint) as qty_milli,
        cast(qty_milli as double) / 1000 as qty,
        cast(list_price_cents as bigint) as list_price_cents,
        cast(promo_discount_cents as bigint) as promo_discount_cents,
        cast(net_paid_cents as bigint) as net_paid_cents,
        cast(supply_price_cents as bigint) as supply_price_cents,
        cast(returned_order_id as string) as returned_order_id,
        cast(returned_line_no as bigint) as returned_line_no,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
