with events as (

    select * from {{ ref('stg_lake__events') }}

),

final as (

    select
        event_id,
        consumer_id,
        anonymous_id,
        session_id,
        event_type,
        sku_id,
        query,
        dwell_ms,
        position,
        policy_version,
        propensity,
        occurred_at,
        {{ local_date('occurred_at') }} as occurred_on,
        origin,
        received_at
    from events

)

-- Stored in time order: a date range reads few row groups, and every build stores the same order.
select * from final
order by occurred_at, event_id
