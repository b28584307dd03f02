{{ config(materialized='table') }}

with offers as (

    select * from {{ ref('int_offers_versioned') }}
    where is_newest

),

movements as (

    select * from {{ ref('stg_lake__inventory_movements') }}
    where supplier_id is not null
        and occurred_at <= {{ as_of() }}

),

-- Movements from the moment on for which the supplier stated its stock: the statement is the level before what
-- happens at that very moment. Without a statement, all movements. Goods lie there also when their offer has ended.
moved as (

    select
        movements.supplier_id,
        movements.sku_id,
        cast(sum(
            case
                when offers.stock_stated_at is null or movements.occurred_at >= offers.stock_stated_at
                    then movements.qty_delta
                else 0
            end
        ) as bigint) as moved_qty
    from movements
    left join offers
        on movements.supplier_id = offers.supplier_id
        and movements.sku_id = offers.sku_id
    group by
        movements.supplier_id,
        movements.sku_id

),

stocked as (

    select supplier_id, sku_id from offers
    union
    select supplier_id, sku_id from moved

),

final as (

    select
        stocked.supplier_id,
        stocked.sku_id,
        offers.stated_qty,
        offers.stock_stated_at as stated_at,
        moved.moved_qty,
        greatest(coalesce(offers.stated_qty, 0) + coalesce(moved.moved_qty, 0), 0) as on_hand_qty,
        offers.supply_price_cents,
        offers.lead_time_days,
        coalesce(offers.origin, 'observed') as origin
    from stocked
    left join offers
        on stocked.supplier_id = offers.supplier_id
        and stocked.sku_id = offers.sku_id
    left join moved
        on stocked.supplier_id = moved.supplier_id
        and stocked.sku_id = moved.sku_id

)

select * from final
