with decisions as (

    select * from {{ ref('fct_assortment_decisions') }}

),

lines as (

    select * from {{ ref('fct_order_lines') }}
    where is_merchandise and (is_sale or is_return)

),

-- A refused suggestion that is made again and taken is a decision of its own.
sold as (

    select
        decisions.merchant_id,
        decisions.sku_id,
        decisions.version,
        {{ units('sum(lines.qty_milli)') }} as qty,
        sum(lines.net_paid_cents) as net_paid_cents
    from decisions
    inner join lines
        on decisions.merchant_id = lines.merchant_id
        and decisions.sku_id = lines.sku_id
        and lines.placed_at >= decisions.decided_at
        and {{ elapsed_days('decisions.decided_at', 'lines.placed_at') }} < 56.0
    where decisions.is_taken
    group by decisions.merchant_id, decisions.sku_id, decisions.version

),

final as (

    select
        decisions.merchant_id,
        decisions.sku_id,
        decisions.version,
        case when decisions.is_taken then 'taken' else 'refused' end as answer,
        decisions.reason_code,
        decisions.decided_at,
        decisions.until_at,
        decisions.rank,
        decisions.basis,
        decisions.propensity,
        decisions.category_id,
        decisions.supplier_id,
        decisions.expected_qty,
        -- Of what is asked at present: filled from the published suggestions when the file is handed to analysts.
        cast(null as bigint) as expected_margin_cents,
        decisions.list_price_cents,
        case
            when decisions.is_taken
                then least({{ elapsed_days('decisions.decided_at', as_of()) }}, 56.0)
        end as days_on_sale,
        case when decisions.is_taken then coalesce(sold.qty, 0.0) end as sold_qty,
        cast(case when decisions.is_taken then coalesce(sold.net_paid_cents, 0) end as bigint)
            as sold_net_paid_cents
    from decisions
    left join sold
        on decisions.merchant_id = sold.merchant_id
        and decisions.sku_id = sold.sku_id
        and decisions.version = sold.version

)

select * from final
