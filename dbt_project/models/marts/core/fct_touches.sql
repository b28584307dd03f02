with touches as (

    select * from {{ ref('stg_lake__touches') }}

),

final as (

    select
        touch_id,
        consumer_id,
        channel,
        campaign,
        cost_cents,
        occurred_at,
        {{ local_date('occurred_at') }} as occurred_on,
        origin,
        received_at
    from touches

)

select * from final
