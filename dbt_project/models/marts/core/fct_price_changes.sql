with price_changes as (

    select * from {{ ref('stg_lake__price_changes') }}

),

final as (

    select
        merchant_id,
        sku_id,
        changed_at,
        {{ local_date('changed_at') }} as changed_on,
        price_cents,
        origin,
        received_at
    from price_changes

)

select * from final
