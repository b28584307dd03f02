with promotions as (

    select
        sku_id,
        merchant_id,
        starts_at,
        ends_at,
        case when display_location is not null or kind = 'display' then 1 else 0 end as on_display,
        case when mailer_location is not null or kind = 'mailer' then 1 else 0 end as on_mailer
    from {{ ref('stg_lake__promotions') }}
    where display_location is not null
        or mailer_location is not null
        or kind in ('display', 'mailer')

),

merchants as (

    select merchant_id from {{ ref('stg_lake__merchants') }}

),

-- A promotion without a merchant holds at every merchant.
final as (

    select * from promotions
    where merchant_id is not null

    union all

    select
        promotions.sku_id,
        merchants.merchant_id,
        promotions.starts_at,
        promotions.ends_at,
        promotions.on_display,
        promotions.on_mailer
    from promotions
    cross join merchants
    where promotions.merchant_id is null

)

select * from final
