with source as (

    select * from {{ source('lake', 'supply_answers') }}

),

renamed as (

    select
        cast(order_id as string) as order_id,
        cast(line_no as bigint) as line_no,
        cast(supplier_id as string) as supplier_id,
        cast(sku_id as string) as sku_id,
        cast(ordered_qty as bigint) as ordered_qty,
        cast(confirmed_qty as bigint) as confirmed_qty,
        cast(answered_at as {{ instant_type() }}) as answered_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
