with after_sales as (

    select * from {{ ref('stg_lake__after_sales') }}

),

order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

final as (

    select
        after_sales.case_id,
        after_sales.order_id,
        after_sales.line_no,
        order_lines.consumer_id,
        order_lines.merchant_id,
        order_lines.sku_id,
        order_lines.supplier_id,
        order_lines.category_l2_id,
        after_sales.kind,
        after_sales.reason_code,
        after_sales.opened_at,
        {{ local_date('after_sales.opened_at') }} as opened_on,
        after_sales.resolved_at,
        {{ elapsed_days('after_sales.opened_at', 'after_sales.resolved_at') }} as resolution_days,
        after_sales.refund_cents,
        order_lines.net_paid_cents as line_net_paid_cents,
        after_sales.origin,
        after_sales.received_at
    from after_sales
    left join order_lines
        on after_sales.order_id = order_lines.order_id
        and after_sales.line_no = order_lines.line_no

)

select * from final
