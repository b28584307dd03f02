{{ config(materialized='table') }}

with order_lines as (

    select * from {{ ref('int_order_lines_classified') }}
    where is_current and is_merchandise and is_sale

),

placements as (

    select * from {{ ref('int_promotions_matched') }}

),

sold as (

    select
        sku_id,
        merchant_id,
        week_start_on,
        {{ units('sum(qty_milli)') }} as qty,
        cast(sum(net_paid_cents) as bigint) as net_paid_cents
    from order_lines
    group by
        sku_id,
        merchant_id,
        week_start_on

),

final as (

    select
        sold.sku_id,
        sold.merchant_id,
        sold.week_start_on,
        sold.qty,
        sold.net_paid_cents,
        coalesce(placements.is_on_display, false) as is_on_display,
        coalesce(placements.is_on_mailer, false) as is_on_mailer
    from sold
    left join placements
        on sold.sku_id = placements.sku_id
        and sold.merchant_id = placements.merchant_id
        and sold.week_start_on = placements.week_start_on

)

select * from final
