with lines as (

    select
        *,
        coalesce(category_l2_id, category_l1_id, 'uncategorised') as category_id
    from {{ in_this_file(ref('int_order_lines_known')) }}
    where is_sale and supplier_id is not null

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
    {{ join_grades('lines') }}
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
