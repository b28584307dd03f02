with events as (

    select * from {{ ref('stg_lake__events') }}

),

edges as (

    select * from {{ ref('stg_lake__identity_edges') }}

),

-- Whom a visitor is at the moment of an event; where two claim it, as on a shared device, nobody is.
joined as (

    select
        events.event_id,
        min(edges.consumer_id) as consumer_id,
        min(edges.received_at) as known_at
    from events
    inner join edges
        on
            events.anonymous_id = edges.anonymous_id
            and events.occurred_at >= edges.valid_from
            and (edges.revoked_at is null or events.occurred_at < edges.revoked_at)
    where events.consumer_id is null
    group by events.event_id
    having count(distinct edges.consumer_id) = 1

),

owned as (

    select
        events.*,
        coalesce(events.consumer_id, joined.consumer_id) as owner_id,
        case when joined.known_at > events.received_at then joined.known_at else events.received_at end as known_at
    from events
    left join joined on events.event_id = joined.event_id

),

final as (

    select
        event_id,
        owner_id as consumer_id,
        consumer_id as stated_consumer_id,
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
        received_at as recorded_at,
        known_at as received_at
    from owned

)

-- Stored in time order: a date range reads few row groups, and every build stores the same order.
select * from final
order by occurred_at, event_id
