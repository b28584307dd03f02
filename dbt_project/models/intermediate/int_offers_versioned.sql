{{ config(materialized='table') }}

with offers as (

    select * from {{ ref('stg_lake__offers') }}

),

-- Terms may be stated without stock or capacity: what an earlier version said of them goes on.
marked as (

    select
        *,
        {{ version_end(['supplier_id', 'sku_id']) }} as valid_to,
        max(case when stock_qty is not null then valid_from end) over (
            partition by supplier_id, sku_id order by valid_from
        ) as stock_stated_at,
        max(case when capacity_per_day is not null then valid_from end) over (
            partition by supplier_id, sku_id order by valid_from
        ) as capacity_stated_at
    from offers

),

carried as (

    select
        marked.supplier_id,
        marked.sku_id,
        marked.valid_from,
        marked.supply_price_cents,
        marked.stock_qty,
        with_stock.stock_qty as stated_qty,
        marked.stock_stated_at,
        with_capacity.capacity_per_day,
        marked.capacity_per_day as stated_capacity_per_day,
        marked.lead_time_days,
        marked.min_order_qty,
        marked.ship_from_region,
        marked.is_active,
        marked.received_at,
        marked.origin,
        marked.valid_to,
        {{ is_in_force(as_of(), 'marked.valid_from', 'marked.valid_to') }} as is_newest
    from marked
    left join offers as with_stock
        on marked.supplier_id = with_stock.supplier_id
        and marked.sku_id = with_stock.sku_id
        and marked.stock_stated_at = with_stock.valid_from
    left join offers as with_capacity
        on marked.supplier_id = with_capacity.supplier_id
        and marked.sku_id = with_capacity.sku_id
        and marked.capacity_stated_at = with_capacity.valid_from

),

final as (

    select
        *,
        is_newest and coalesce(is_active, true) as is_current
    from carried

)

select * from final
