with grades as (

    select * from {{ in_this_file(ref('int_grades_held')) }}

),

lines as (

    select
        *,
        coalesce(category_l2_id, category_l1_id, 'uncategorised') as category_id
    from {{ in_this_file(ref('int_order_lines_known')) }}
    where is_sale and supplier_id is not null

),

channels as (

    select distinct
        supplier_id,
        category_id
    from grades
    where not is_whole

),

-- What sold up to 90 days before a grade began: more no tag looks at.
graded as (

    select
        lines.merchant_id,
        lines.order_id,
        lines.line_no,
        lines.supplier_id,
        lines.sku_id,
        lines.placed_at,
        lines.net_paid_cents,
        grades.grade,
        greatest(lines.received_at, grades.graded_at) as known_at,
        least(
            coalesce(lines.superseded_at, {{ never() }}),
            coalesce(grades.superseded_at, {{ never() }})
        ) as until_at
    from lines
    left join channels
        on lines.supplier_id = channels.supplier_id
        and lines.category_id = channels.category_id
    inner join grades
        on lines.supplier_id = grades.supplier_id
        and coalesce(channels.category_id, '') = coalesce(grades.category_id, '')
        and {{ elapsed_days('lines.placed_at', 'grades.graded_at') }} < 91.0

),

final as (

    select
        merchant_id,
        order_id,
        line_no,
        supplier_id,
        sku_id,
        placed_at,
        net_paid_cents,
        grade,
        known_at,
        nullif(until_at, {{ never() }}) as superseded_at
    from graded
    where known_at < until_at

)

select * from final
