with source as (

    select * from {{ source('lake', 'events') }}

),

renamed as (

    select
        cast(event_id as string) as event_id,
        cast(consumer_id as string) as consumer_id,
        cast(anonymous_id as string) as anonymous_id,
        cast(session_id as string) as session_id,
        cast(event_type as string) as event_type,
        cast(sku_id as string) as sku_id,
        cast(query as string) as query,
        cast(dwell_ms as bigint) as dwell_ms,
        cast(position as bigint) as position,
        cast(policy_version as string) as policy_version,
        cast(propensity as double) as propensity,
        cast(occurred_at as {{ instant_type() }}) as occurred_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
