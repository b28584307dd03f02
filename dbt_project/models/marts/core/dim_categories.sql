with categories as (

    select * from {{ ref('stg_lake__categories') }}

),

levels as (

    select * from {{ ref('int_categories_levelled') }}

),

final as (

    select
        categories.category_id,
        categories.parent_category_id,
        categories.name,
        categories.level,
        levels.category_l1_id,
        levels.category_l2_id,
        levels.category_l3_id,
        {{ line_kind('levels.category_l1_id', 'levels.category_l2_id') }} as line_kind,
        categories.origin,
        categories.received_at
    from categories
    inner join levels on categories.category_id = levels.category_id

)

select * from final
