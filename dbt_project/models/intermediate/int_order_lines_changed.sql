{{ config(materialized='table') }}

with changed as (

    select order_id from {{ ref('int_orders_versioned') }} where superseded_at is not null
    union
    select order_id from {{ ref('int_order_lines_versioned') }} where superseded_at is not null

),

-- A version of a line whose order nobody knew at that time was never seen.
versions as (

    select costed.*
    from {{ ref('int_order_lines_costed') }} as costed
    inner join changed on costed.order_id = changed.order_id
    where costed.placed_at is not null

),

placements as (

    select * from {{ ref('int_promotions_matched') }}

),

final as (

    select
        versions.order_id,
        versions.line_no,
        versions.consumer_id,
        versions.merchant_id,
        versions.agent_id,
        versions.channel,
        versions.state,
        versions.freight_cents,
        versions.sku_id,
        versions.supplier_id,
        versions.category_l1_id,
        versions.category_l2_id,
        versions.category_l3_id,
        versions.placed_at,
        versions.placed_on,
        versions.week_start_on,
        versions.qty,
        versions.list_price_cents,
        versions.promo_discount_cents,
        versions.coupon_discount_cents,
        versions.net_paid_cents,
        {{ ratio('versions.net_paid_cents', 'versions.qty') }} as unit_price_cents,
        versions.supply_cost_cents,
        versions.is_merchandise,
        versions.is_counted,
        versions.is_sale,
        versions.is_return,
        coalesce(placements.is_on_display, false) as is_on_display,
        coalesce(placements.is_on_mailer, false) as is_on_mailer,
        versions.known_at as received_at,
        versions.superseded_at
    from versions
    left join placements
        on versions.sku_id = placements.sku_id
        and versions.merchant_id = placements.merchant_id
        and versions.week_start_on = placements.week_start_on

)

select * from final
