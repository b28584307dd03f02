with messages as (

    select * from {{ ref('stg_lake__messages') }}

),

final as (

    select
        message_id,
        consumer_id,
        journey,
        channel,
        sent_at,
        {{ local_date('sent_at') }} as sent_on,
        outcome,
        origin,
        received_at
    from messages

)

select * from final
