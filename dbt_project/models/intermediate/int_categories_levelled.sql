{{ config(materialized='table') }}

with categories as (

    select * from {{ ref('stg_lake__categories') }}

),

-- Every category with itself and up to four ancestors: trees of at most five levels.
ancestors as (

    select
        category_id,
        category_id as ancestor_id,
        name,
        level
    from categories

    union all

    select
        leaf.category_id,
        parent.category_id as ancestor_id,
        parent.name,
        parent.level
    from categories as leaf
    inner join categories as parent on leaf.parent_category_id = parent.category_id

    union all

    select
        leaf.category_id,
        grandparent.category_id as ancestor_id,
        grandparent.name,
        grandparent.level
    from categories as leaf
    inner join categories as parent on leaf.parent_category_id = parent.category_id
    inner join categories as grandparent on parent.parent_category_id = grandparent.category_id

    union all

    select
        leaf.category_id,
        third.category_id as ancestor_id,
        third.name,
        third.level
    from categories as leaf
    inner join categories as parent on leaf.parent_category_id = parent.category_id
    inner join categories as grandparent on parent.parent_category_id = grandparent.category_id
    inner join categories as third on grandparent.parent_category_id = third.category_id

    union all

    select
        leaf.category_id,
        fourth.category_id as ancestor_id,
        fourth.name,
        fourth.level
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
        max(case when level = 3 then name end) as l3_name
    from ancestors
    group by category_id

),

-- A short branch repeats its lowest category downwards, so that all three levels are always filled.
final as (

    select
        category_id,
        coalesce(l1_id, category_id) as category_l1_id,
        coalesce(l2_id, l1_id, category_id) as category_l2_id,
        coalesce(l3_id, l2_id, l1_id, category_id) as category_l3_id,
        l1_name as category_l1_name,
        case when l2_id is not null then l2_name else l1_name end as category_l2_name,
        case
            when l3_id is not null then l3_name
            when l2_id is not null then l2_name
            else l1_name
        end as category_l3_name
    from levels

)

select * from final
