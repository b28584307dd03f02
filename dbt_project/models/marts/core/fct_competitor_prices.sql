with competitor_prices as (

    select * from {{ ref('stg_lake__competitor_prices') }}

),

final as (

    select
        sku_id,
        competitor,
        observed_at,
        {{ local_date('observed_at') }} as observed_on,
        price_cents,
        origin,
        received_at
    from competitor_prices

)

select * from final
