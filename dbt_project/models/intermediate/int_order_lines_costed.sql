with order_lines as (

    select * from {{ ref('int_order_lines_classified') }}

),

offers as (

    select * from {{ ref('int_offers_versioned') }}

),

-- The cost on the line itself wins; otherwise quantity times the offer in force when the order was placed.
costed as (

    select
        order_lines.*,
        coalesce(
            order_lines.supply_price_cents,
            cast(round({{ units('order_lines.qty_milli') }} * offers.supply_price_cents) as bigint)
        ) as supply_cost_cents,
        case
            when order_lines.supply_price_cents is not null then order_lines.origin
            else offers.origin
        end as supply_cost_origin
    from order_lines
    left join offers
        on order_lines.supplier_id = offers.supplier_id
        and order_lines.sku_id = offers.sku_id
        and {{ is_in_force('order_lines.placed_at', 'offers.valid_from', 'offers.valid_to') }}

)

select * from costed
