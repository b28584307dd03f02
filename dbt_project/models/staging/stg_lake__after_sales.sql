with source as (

    select * from {{ source('lake', 'after_sales') }}

),

renamed as (

    select
        cast(case_id as string) as case_id,
        cast(order_id as string) as order_id,
        cast(line_no as bigint) as line_no,
        cast(kind as string) as kind,
        cast(reason_code as string) as reason_code,
        cast(opened_at as {{ instant_type() }}) as opened_at,
        cast(resolved_at as {{ instant_type() }}) as resolved_at,
        cast(refund_cents as bigint) as refund_cents,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
