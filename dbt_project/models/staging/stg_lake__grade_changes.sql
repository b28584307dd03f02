with source as (

    select * from {{ source('lake', 'grade_changes') }}

),

renamed as (

    select
        cast(change_id as string) as change_id,
        cast(supplier_id as string) as supplier_id,
        cast(category_id as string) as category_id,
        cast(grade as string) as grade,
        cast(gate as string) as gate,
        cast(score_low as double) as score_low,
        cast(graded_at as {{ instant_type() }}) as graded_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
