with changes as (

    select * from {{ in_this_file(ref('fct_level_changes')) }}

),

-- Of two changes at one moment the later one stands: its number is the longer or the larger one.
ended as (

    select
        *,
        lead(changed_at) over (
            partition by consumer_id
            order by changed_at, length(change_id), change_id
        ) as superseded_at
    from changes

),

final as (

    select
        consumer_id,
        level,
        growth,
        growth_to_next,
        is_at_risk,
        changed_at,
        superseded_at
    from ended
    where superseded_at is null or superseded_at > changed_at

)

select * from final
