with grades as (

    select * from {{ in_this_file(ref('int_grades_held')) }}

),

offers as (

    select
        offers.supplier_id,
        offers.sku_id,
        offers.valid_to,
        greatest(offers.valid_from, offers.received_at) as known_at,
        coalesce(products.category_l2_id, products.category_l1_id, 'uncategorised') as category_id
    from {{ in_this_file(ref('dim_offers')) }} as offers
    inner join {{ in_this_file(ref('dim_products')) }} as products on offers.sku_id = products.sku_id
    where coalesce(offers.is_active, true)

),

channels as (

    select distinct
        supplier_id,
        category_id
    from grades
    where not is_whole

),

-- The grade in the category of the sku, of a supplier that has none there its own.
graded as (

    select
        offers.sku_id,
        offers.supplier_id,
        grades.grade,
        grades.gate,
        greatest(offers.known_at, grades.graded_at) as known_at,
        least(
            coalesce(offers.valid_to, {{ never() }}),
            coalesce(grades.superseded_at, {{ never() }})
        ) as until_at
    from offers
    left join channels
        on offers.supplier_id = channels.supplier_id
        and offers.category_id = channels.category_id
    inner join grades
        on offers.supplier_id = grades.supplier_id
        and coalesce(channels.category_id, '') = coalesce(grades.category_id, '')

),

final as (

    select
        sku_id,
        supplier_id,
        grade,
        gate,
        known_at,
        nullif(until_at, {{ never() }}) as superseded_at
    from graded
    where known_at < until_at

)

select * from final
