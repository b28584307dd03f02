{{ config(materialized='table') }}

with promotions as (

    select * from {{ ref('int_promotions_weekly') }}

),

sold as (

    select distinct
        sku_id,
        merchant_id,
        week_start_on
    from {{ ref('int_order_lines_classified') }}

),

final as (

    select
        sold.sku_id,
        sold.merchant_id,
        sold.week_start_on,
        max(promotions.on_display) = 1 as is_on_display,
        max(promotions.on_mailer) = 1 as is_on_mailer
    from promotions
    inner join sold
        on promotions.sku_id = sold.sku_id
        and promotions.merchant_id = sold.merchant_id
        and promotions.week_start_on = sold.week_start_on
    group by
        sold.sku_id,
        sold.merchant_id,
        sold.week_start_on

)

select * from final
