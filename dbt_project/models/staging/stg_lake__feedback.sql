with source as (

    select * from {{ source('lake', 'feedback') }}

),

renamed as (

    select
        cast(feedback_id as string) as feedback_id,
        cast(merchant_id as string) as merchant_id,
        cast(sku_id as string) as sku_id,
        cast(rating as bigint) as rating,
        cast(is_verified as boolean) as is_verified,
        cast(topic as string) as topic,
        cast(sentiment as string) as sentiment,
        cast(occurred_at as {{ instant_type() }}) as occurred_at,
        cast(answered_at as {{ instant_type() }}) as answered_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
