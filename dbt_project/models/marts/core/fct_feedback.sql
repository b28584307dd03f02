with feedback as (

    select * from {{ ref('stg_lake__feedback') }}

),

final as (

    select
        feedback_id,
        merchant_id,
        sku_id,
        rating,
        is_verified,
        topic,
        sentiment,
        occurred_at,
        {{ local_date('occurred_at') }} as written_on,
        answered_at,
        origin,
        received_at
    from feedback

)

select * from final
