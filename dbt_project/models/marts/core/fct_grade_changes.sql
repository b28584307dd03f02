with grade_changes as (

    select * from {{ ref('stg_lake__grade_changes') }}

),

final as (

    select
        change_id,
        supplier_id,
        category_id,
        grade,
        gate,
        score_low,
        graded_at,
        origin,
        received_at
    from grade_changes

)

select * from final
