with touches as (

    select * from {{ ref('stg_lake__touches') }}

),

edges as (

    select * from {{ ref('stg_lake__identity_edges') }}

),

-- Whom a visitor is at the moment of a touch, by the rule of events: where two claim it, nobody is.
joined as (

    select
        touches.touch_id,
        min(edges.consumer_id) as consumer_id,
        min(edges.received_at) as known_at
    from touches
    inner join edges
        on
            touches.anonymous_id = edges.anonymous_id
            and touches.occurred_at >= edges.valid_from
            and (edges.revoked_at is null or touches.occurred_at < edges.revoked_at)
    where touches.consumer_id is null
    group by touches.touch_id
    having count(distinct edges.consumer_id) = 1

),

owned as (

    select
        touches.*,
        coalesce(touches.consumer_id, joined.consumer_id) as owner_id,
        case when joined.known_at > touches.received_at then joined.known_at else touches.received_at end as known_at
    from touches
    left join joined on touches.touch_id = joined.touch_id

),

final as (

    select
        touch_id,
        owner_id as consumer_id,
        consumer_id as stated_consumer_id,
        anonymous_id,
        channel,
        campaign,
        cost_cents,
        occurred_at,
        {{ local_date('occurred_at') }} as occurred_on,
        origin,
        received_at as recorded_at,
        known_at as received_at
    from owned

)

select * from final
