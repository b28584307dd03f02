with level_changes as (

    select * from {{ ref('stg_lake__level_changes') }}

),

final as (

    select
        change_id,
        consumer_id,
        cause,
        level,
        growth,
        growth_to_next,
        is_at_risk,
        changed_at,
        origin,
        received_at
    from level_changes

)

select * from final
