with source as (

    select * from {{ source('lake', 'purchase_lines') }}

),

renamed as (

    select
        cast(purchase_order_id as string) as purchase_order_id,
        cast(sku_id as string) as sku_id,
        cast(supplier_id as string) as supplier_id,
        cast(status as string) as status,
        cast(ordered_qty as bigint) as ordered_qty,
        cast(confirmed_qty as bigint) as confirmed_qty,
        cast(received_qty as bigint) as received_qty,
        cast(placed_at as {{ instant_type() }}) as placed_at,
        cast(expected_on as date) as expected_on,
        cast(promised_on as date) as promised_on,
        cast(arrived_at as {{ instant_type() }}) as arrived_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
