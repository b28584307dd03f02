with products as (

    select * from {{ ref('int_products_categorised') }}

),

final as (

    select
        sku_id,
        title,
        category_l1_id,
        category_l2_id,
        category_l3_id,
        category_l1_name,
        category_l2_name,
        category_l3_name,
        supplier_id,
        brand_id,
        pack_size,
        gtin,
        unit,
        launched_on,
        theme,
        is_private_label,
        line_kind,
        line_kind = 'merchandise' as is_merchandise,
        origin,
        received_at
    from products

)

select * from final
