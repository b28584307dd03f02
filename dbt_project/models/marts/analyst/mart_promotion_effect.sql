with sku_weeks as (

    select
        sku_id,
        merchant_id,
        cast(round(qty * 1000) as bigint) as qty_milli,
        net_paid_cents,
        case
            when is_on_display and is_on_mailer then 'display_and_mailer'
            when is_on_display then 'display'
            when is_on_mailer then 'mailer'
            else 'none'
        end as placement
    from {{ ref('int_sku_week') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

-- What the sku sells in a week without a placement, merchant by merchant, so that big shops are compared with themselves.
baselines as (

    select
        sku_id,
        merchant_id,
        count(*) as unpromoted_week_count,
        {{ ratio('sum(qty_milli)', 'count(*)') }} as mean_qty_milli,
        {{ ratio('sum(net_paid_cents)', 'count(*)') }} as mean_net_paid_cents
    from sku_weeks
    where placement = 'none'
    group by
        sku_id,
        merchant_id

),

promoted as (

    select
        sku_id,
        merchant_id,
        placement,
        count(*) as promoted_week_count,
        sum(qty_milli) as qty_milli,
        sum(net_paid_cents) as net_paid_cents
    from sku_weeks
    where placement <> 'none'
    group by
        sku_id,
        merchant_id,
        placement

),

-- Whole thousandths and cents at each merchant: a sum of doubles would depend on its order, and so on the engine.
compared as (

    select
        promoted.sku_id,
        promoted.placement,
        count(*) as merchant_count,
        cast(sum(promoted.promoted_week_count) as bigint) as promoted_week_count,
        cast(sum(baselines.unpromoted_week_count) as bigint) as unpromoted_week_count,
        {{ units('sum(promoted.qty_milli)') }} as promoted_qty,
        {{ units('sum(cast(round(promoted.promoted_week_count * baselines.mean_qty_milli) as bigint))') }}
            as baseline_qty,
        cast(sum(promoted.net_paid_cents) as bigint) as promoted_net_paid_cents,
        cast(
            sum(cast(round(promoted.promoted_week_count * baselines.mean_net_paid_cents) as bigint)) as double
        ) as baseline_net_paid_cents
    from promoted
    inner join baselines
        on promoted.sku_id = baselines.sku_id
        and promoted.merchant_id = baselines.merchant_id
    group by
        promoted.sku_id,
        promoted.placement

),

final as (

    select
        compared.sku_id,
        compared.placement,
        products.category_l2_id,
        compared.merchant_count,
        compared.promoted_week_count,
        compared.unpromoted_week_count,
        compared.promoted_qty,
        compared.baseline_qty,
        {{ ratio('compared.promoted_qty', 'compared.baseline_qty') }} as qty_ratio,
        compared.promoted_net_paid_cents,
        compared.baseline_net_paid_cents,
        {{ ratio('compared.promoted_net_paid_cents', 'compared.baseline_net_paid_cents') }} as net_paid_ratio
    from compared
    left join products on compared.sku_id = products.sku_id

)

select * from final
