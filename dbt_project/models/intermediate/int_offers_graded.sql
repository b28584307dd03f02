with offers as (

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

-- The grade in the category of the sku while the supplier has one there, else its own.
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
    {{ join_grades('offers') }}

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
