{{ config(materialized='table') }}

with products as (

    select * from {{ ref('stg_lake__products') }}

),

categories as (

    select * from {{ ref('int_categories_levelled') }}

),

categorised as (

    select
        products.sku_id,
        products.title,
        products.category_id,
        coalesce(categories.category_l1_id, products.category_id, 'unknown') as category_l1_id,
        coalesce(categories.category_l2_id, products.category_id, 'unknown') as category_l2_id,
        coalesce(categories.category_l3_id, products.category_id, 'unknown') as category_l3_id,
        categories.category_l1_name,
        categories.category_l2_name,
        categories.category_l3_name,
        products.manufacturer_id as supplier_id,
        products.brand_id,
        products.pack_size,
        products.gtin,
        products.unit,
        products.launched_on,
        products.role as sku_role,
        products.is_private_label,
        categories.role as category_role,
        categories.theme,
        products.received_at,
        products.origin
    from products
    left join categories on products.category_id = categories.category_id

),

final as (

    select
        *,
        {{ line_kind('sku_role', 'category_role') }} as line_kind
    from categorised

)

select * from final
