with promotions as (

    select * from {{ ref('int_promotions_placed') }}

),

periods as (

    select * from {{ ref('int_promotion_periods_expanded') }}

),

final as (

    select
        promotions.sku_id,
        promotions.merchant_id,
        periods.week_start_on,
        promotions.on_display,
        promotions.on_mailer
    from promotions
    inner join periods
        on promotions.starts_at = periods.starts_at
        and promotions.ends_at = periods.ends_at

)

select * from final
