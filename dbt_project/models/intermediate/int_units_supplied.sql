with lines as (

    select * from {{ in_this_file(ref('fct_order_lines')) }}
    where is_merchandise
        and (is_sale or is_return)
        and supplier_id is not null
        and placed_on > {{ add_days(as_of_date(), -90) }}
        and placed_on <= {{ as_of_date() }}

),

products as (

    select * from {{ in_this_file(ref('dim_products')) }}

),

final as (

    select
        lines.supplier_id,
        lines.sku_id,
        products.category_l2_id,
        {{ units('greatest(sum(lines.qty_milli), 0)') }} as units_90d,
        cast(greatest(sum(lines.net_paid_cents), 0) as bigint) as net_paid_90d_cents
    from lines
    inner join products on lines.sku_id = products.sku_id
    where products.category_l2_id is not null
    group by
        lines.supplier_id,
        lines.sku_id,
        products.category_l2_id

)

select * from final
