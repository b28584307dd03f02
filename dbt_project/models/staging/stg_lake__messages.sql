with source as (

    select * from {{ source('lake', 'messages') }}

),

renamed as (

    select
        cast(message_id as string) as message_id,
        cast(consumer_id as string) as consumer_id,
        cast(journey as string) as journey,
        cast(channel as string) as channel,
        cast(sent_at as {{ instant_type() }}) as sent_at,
        cast(outcome as string) as outcome,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
