with changes as (

    select * from {{ in_this_file(ref('fct_grade_changes')) }}

),

-- Of two changes at one moment the later one stands: its number is the longer or the larger one.
ended as (

    select
        *,
        lead(graded_at) over (
            partition by supplier_id, category_id
            order by graded_at, length(change_id), change_id
        ) as superseded_at
    from changes

),

final as (

    select
        supplier_id,
        category_id,
        category_id is null as is_whole,
        grade,
        gate,
        score_low,
        graded_at,
        superseded_at
    from ended
    where grade is not null
        and (superseded_at is null or superseded_at > graded_at)

)

select * from final
