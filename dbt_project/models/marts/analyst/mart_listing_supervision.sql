with listings as (

    select
        'merchant' as party_type,
        merchant_id as party_id,
        sku_id,
        list_price_cents as price_cents
    from {{ ref('dim_listings') }}
    where is_current and is_listed

),

offers as (

    select
        'supplier' as party_type,
        supplier_id as party_id,
        sku_id,
        supply_price_cents as price_cents
    from {{ ref('dim_offers') }}
    where is_current

),

subjects as (

    select * from listings
    union all
    select * from offers

),

supply_market as (

    select
        sku_id,
        count(*) as offer_count,
        cast(round(avg(price_cents)) as bigint) as mean_supply_price_cents
    from offers
    group by sku_id

),

authorised as (

    select
        'merchant' as party_type,
        merchant_id as party_id,
        brand_id
    from {{ ref('dim_licences') }}
    where kind = 'brand_authorisation' and is_in_force and merchant_id is not null
    union
    select
        'supplier' as party_type,
        supplier_id as party_id,
        brand_id
    from {{ ref('dim_licences') }}
    where kind = 'brand_authorisation' and is_in_force and supplier_id is not null

),

guarded as (

    select distinct
        party_type,
        brand_id
    from authorised

),

final as (

    select
        subjects.party_type,
        subjects.party_id,
        subjects.sku_id,
        products.brand_id,
        products.category_l2_id,
        subjects.price_cents,
        coalesce(supply_market.offer_count, 0) as offer_count,
        supply_market.mean_supply_price_cents,
        guarded.brand_id is not null as is_brand_guarded,
        authorised.brand_id is not null as is_authorised,
        -- Filled from the open cases when the file is handed to analysts: their rule has one home.
        cast(null as bigint) as level,
        cast(null as double) as score,
        cast(null as string) as signs,
        cast(null as {{ instant_type() }}) as opened_at,
        cast(null as {{ instant_type() }}) as due_at
    from subjects
    left join {{ ref('dim_products') }} as products
        on subjects.sku_id = products.sku_id
    left join supply_market
        on subjects.sku_id = supply_market.sku_id
    left join guarded
        on subjects.party_type = guarded.party_type
        and products.brand_id = guarded.brand_id
    left join authorised
        on subjects.party_type = authorised.party_type
        and subjects.party_id = authorised.party_id
        and products.brand_id = authorised.brand_id

)

select * from final
