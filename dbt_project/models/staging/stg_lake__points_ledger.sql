with source as (

    select * from {{ source('lake', 'points_ledger') }}

),

renamed as (

    select
        cast(entry_id as string) as entry_id,
        cast(consumer_id as string) as consumer_id,
        cast(points_delta as bigint) as points_delta,
        cast(reason as string) as reason,
        cast(expires_on as date) as expires_on,
        cast(occurred_at as {{ instant_type() }}) as occurred_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
