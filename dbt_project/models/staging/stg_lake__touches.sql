with source as (

    select * from {{ source('lake', 'touches') }}

),

renamed as (

    select
        cast(touch_id as string) as touch_id,
        cast(consumer_id as string) as consumer_id,
        cast(anonymous_id as string) as anonymous_id,
        cast(channel as string) as channel,
        cast(campaign as string) as campaign,
        cast(cost_cents as bigint) as cost_cents,
        cast(occurred_at as {{ instant_type() }}) as occurred_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
