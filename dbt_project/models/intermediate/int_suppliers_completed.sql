with suppliers as (

    select * from {{ ref('stg_lake__suppliers') }}

),

-- The table of suppliers is optional; whoever makes, sells, offers or ships something is a supplier all the same.
named as (

    select manufacturer_id as supplier_id, origin, received_at from {{ ref('stg_lake__products') }}
    union all
    select supplier_id, origin, received_at from {{ ref('stg_lake__order_lines') }}
    union all
    select supplier_id, origin, received_at from {{ ref('stg_lake__offers') }}
    union all
    select supplier_id, origin, received_at from {{ ref('stg_lake__shipments') }}

),

implied as (

    select
        named.supplier_id,
        min(named.origin) as origin,
        min(named.received_at) as received_at
    from named
    left join suppliers on named.supplier_id = suppliers.supplier_id
    where named.supplier_id is not null
        and suppliers.supplier_id is null
    group by named.supplier_id

),

final as (

    select
        supplier_id,
        name,
        channel,
        region_code,
        joined_on,
        is_active,
        false as is_implied,
        origin,
        received_at
    from suppliers

    union all

    select
        supplier_id,
        supplier_id as name,
        'other' as channel,
        'unknown' as region_code,
        cast(null as date) as joined_on,
        true as is_active,
        true as is_implied,
        origin,
        received_at
    from implied

)

select * from final
