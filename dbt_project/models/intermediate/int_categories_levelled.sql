{{ config(materialized='table') }}

with categories as (

    select * from {{ ref('stg_lake__categories') }}

),

-- Every category with itself and up to four ancestors: trees of at most five levels.
ancestors as (

    select
        category_id,
        category_id as ancestor_id,
        0 as distance,
        name,
        level,
        role,
        theme
    from categories

    union all

    select
        leaf.category_id,
        parent.category_id as ancestor_id,
        1 as distance,
        parent.name,
        parent.level,
        parent.role,
        parent.theme
    from categories as leaf
    inner join categories as parent on leaf.parent_category_id = parent.category_id

    union all

    select
        leaf.category_id,
        grandparent.category_id as ancestor_id,
        2 as distance,
        grandparent.name,
        grandparent.level,
        grandparent.role,
        grandparent.theme
    from categories as leaf
    inner join categories as parent on leaf.parent_category_id = parent.category_id
    inner join categories as grandparent on parent.parent_category_id = grandparent.category_id

    union all

    select
        leaf.category_id,
        third.category_id as ancestor_id,
        3 as distance,
        third.name,
        third.level,
        third.role,
        third.theme
    from categories as leaf
    inner join categories as parent on leaf.parent_category_id = parent.category_id
    inner join categories as grandparent on parent.parent_category_id = grandparent.category_id
    inner join categories as third on grandparent.parent_category_id = third.category_id

    union all

    select
        leaf.category_id,
        fourth.category_id as ancestor_id,
        4 as distance,
        fourth.name,
        fourth.level,
        fourth.role,
        fourth.theme
    from categories as leaf
    inner join categories as parent on leaf.parent_category_id = parent.category_id
    inner join categories as grandparent on parent.parent_category_id = grandparent.category_id
    inner join categories as third on grandparent.parent_category_id = third.category_id
    inner join categories as fourth on third.parent_category_id = fourth.category_id

),

levels as (

    select
        category_id,
        max(case when level = 1 then ancestor_id end) as l1_id,
        max(case when level = 2 then ancestor_id end) as l2_id,
        max(case when level = 3 then ancestor_id end) as l3_id,
        max(case when level = 1 then name end) as l1_name,
        max(case when level = 2 then name end) as l2_name,
        max(case when level = 3 then name end) as l3_name,
        min(case when role is not null then distance end) as role_distance,
        min(case when theme is not null then distance end) as theme_distance
    from ancestors
    group by category_id

),

-- A short branch repeats its lowest category downwards, so that all three levels are always filled. Role and theme are
-- those of the nearest category up the tree that names one.
final as (

    select
        levels.category_id,
        coalesce(levels.l1_id, levels.category_id) as category_l1_id,
        coalesce(levels.l2_id, levels.l1_id, levels.category_id) as category_l2_id,
        coalesce(levels.l3_id, levels.l2_id, levels.l1_id, levels.category_id) as category_l3_id,
        levels.l1_name as category_l1_name,
        case when levels.l2_id is not null then levels.l2_name else levels.l1_name end as category_l2_name,
        case
            when levels.l3_id is not null then levels.l3_name
            when levels.l2_id is not null then levels.l2_name
            else levels.l1_name
        end as category_l3_name,
        named_role.role,
        named_theme.theme
    from levels
    left join ancestors as named_role
        on levels.category_id = named_role.category_id
        and levels.role_distance = named_role.distance
    left join ancestors as named_theme
        on levels.category_id = named_theme.category_id
        and levels.theme_distance = named_theme.distance

)

select * from final
