with supplied as (

    select * from {{ ref('int_units_supplied') }}

),

shares as (

    select
        category_l2_id,
        supplier_id,
        count(*) as sku_count,
        sum(units_90d) as units_90d,
        sum(sum(units_90d)) over (partition by category_l2_id) as category_units_90d
    from supplied
    where units_90d > 0
    group by
        category_l2_id,
        supplier_id

),

ranked as (

    select
        *,
        row_number() over (partition by category_l2_id order by units_90d desc, supplier_id) as place
    from shares

),

final as (

    select
        category_l2_id,
        supplier_id,
        cast(sku_count as bigint) as sku_count,
        units_90d,
        category_units_90d,
        {{ ratio('units_90d', 'category_units_90d') }} as unit_share,
        cast(place as bigint) as place,
        place = 1 as is_main,
        place = 1
            and units_90d > cast(0.6 as double) * category_units_90d as is_main_too_large
    from ranked

)

select * from final
