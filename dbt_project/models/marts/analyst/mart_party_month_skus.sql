with sold as (

    select
        orders.party_type,
        orders.party_id,
        orders.month_start_on,
        lines.sku_id,
        sum(lines.qty_milli) as qty_milli,
        sum(lines.net_paid_cents) as net_sales_cents,
        sum(case when lines.is_return then -lines.net_paid_cents else 0 end) as refunded_cents,
        sum(lines.margin_cents) as margin_cents
    from {{ ref('int_orders_by_party') }} as orders
    inner join {{ ref('fct_order_lines') }} as lines on orders.order_id = lines.order_id
    where lines.is_merchandise and (lines.is_sale or lines.is_return)
    group by
        orders.party_type,
        orders.party_id,
        orders.month_start_on,
        lines.sku_id

),

ranked as (

    select
        *,
        row_number() over (
            partition by party_type, party_id, month_start_on
            order by margin_cents desc nulls last, net_sales_cents desc, sku_id
        ) as best_place,
        row_number() over (
            partition by party_type, party_id, month_start_on
            order by margin_cents asc nulls last, refunded_cents desc, net_sales_cents asc, sku_id
        ) as worst_place
    from sold

),

-- What is among the best is not among the worst, however few there are.
placed as (

    select
        *,
        case when best_place <= 3 then 'best' else 'worst' end as side,
        row_number() over (
            partition by party_type, party_id, month_start_on, case when best_place <= 3 then 1 else 0 end
            order by worst_place
        ) as worst_of_rest
    from ranked

),

final as (

    select
        party_type,
        party_id,
        month_start_on,
        side,
        cast(case when side = 'best' then best_place else worst_of_rest end as bigint) as place,
        sku_id,
        {{ units('qty_milli') }} as units,
        cast(net_sales_cents as bigint) as net_sales_cents,
        cast(refunded_cents as bigint) as refunded_cents,
        cast(margin_cents as bigint) as margin_cents
    from placed
    where side = 'best' or worst_of_rest <= 3

)

select * from final
