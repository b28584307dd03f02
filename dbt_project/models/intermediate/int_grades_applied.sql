with grades as (

    select * from {{ in_this_file(ref('int_grades_held')) }}

),

channels as (

    select distinct
        supplier_id,
        category_id
    from grades
    where not is_whole

),

-- When another grade may begin to apply in a category that was ever graded by itself.
moments as (

    select
        channels.supplier_id,
        channels.category_id,
        grades.graded_at as began_at
    from channels
    inner join grades
        on channels.supplier_id = grades.supplier_id
        and (grades.is_whole or channels.category_id = grades.category_id)
    union
    select
        channels.supplier_id,
        channels.category_id,
        grades.superseded_at as began_at
    from channels
    inner join grades
        on channels.supplier_id = grades.supplier_id
        and (grades.is_whole or channels.category_id = grades.category_id)
    where grades.superseded_at is not null

),

periods as (

    select
        *,
        lead(began_at) over (partition by supplier_id, category_id order by began_at) as ended_at
    from moments

),

-- The grade in the category while it stands, else that of the supplier as a whole.
in_channels as (

    select
        periods.supplier_id,
        periods.category_id,
        case when own.grade is not null then own.grade else whole.grade end as grade,
        case when own.grade is not null then own.gate else whole.gate end as gate,
        periods.began_at as graded_at,
        periods.ended_at as superseded_at
    from periods
    left join grades as own
        on periods.supplier_id = own.supplier_id
        and periods.category_id = own.category_id
        and {{ is_in_force('periods.began_at', 'own.graded_at', 'own.superseded_at') }}
    left join grades as whole
        on periods.supplier_id = whole.supplier_id
        and whole.is_whole
        and {{ is_in_force('periods.began_at', 'whole.graded_at', 'whole.superseded_at') }}
    where own.grade is not null or whole.grade is not null

),

final as (

    select * from in_channels
    union all
    select
        supplier_id,
        cast(null as string) as category_id,
        grade,
        gate,
        graded_at,
        superseded_at
    from grades
    where is_whole

)

select * from final
