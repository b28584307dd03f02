{{ config(materialized='table') }}

with events as (

    select * from {{ ref('stg_lake__events') }}

),

summarised as (

    select
        session_id,
        max(consumer_id) as consumer_id,
        max(coalesce(consumer_id, anonymous_id)) as visitor_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as event_count,
        sum(case when event_type = 'view' then 1 else 0 end) as view_count,
        sum(case when event_type = 'search' then 1 else 0 end) as search_count,
        sum(case when event_type = 'add_to_cart' then 1 else 0 end) as cart_count,
        sum(case when event_type = 'checkout' then 1 else 0 end) as checkout_count,
        max(origin) as origin
    from events
    group by session_id

),

final as (

    select
        session_id,
        consumer_id,
        visitor_id,
        started_at,
        ended_at,
        {{ local_date('started_at') }} as started_on,
        event_count,
        cast(view_count as bigint) as view_count,
        cast(search_count as bigint) as search_count,
        cast(cart_count as bigint) as cart_count,
        cast(checkout_count as bigint) as checkout_count,
        origin
    from summarised

)

select * from final
