with listings as (

    select * from {{ ref('stg_lake__listings') }}

),

price_changes as (

    select * from {{ ref('fct_price_changes') }}

),

list_prices as (

    select
        merchant_id,
        sku_id,
        valid_from,
        list_price_cents,
        lag(list_price_cents) over (partition by merchant_id, sku_id order by valid_from) as price_before_cents
    from listings

),

said as (

    select
        merchant_id,
        sku_id,
        valid_from,
        list_price_cents as price_cents,
        'list' as source
    from list_prices
    where price_before_cents is null or price_before_cents <> list_price_cents

    union all

    select
        merchant_id,
        sku_id,
        changed_at as valid_from,
        price_cents,
        'published' as source
    from price_changes

),

-- Of one moment the published price holds: it was made with the list price of that moment.
ranked as (

    select
        *,
        row_number() over (partition by merchant_id, sku_id, valid_from order by source desc) as place
    from said

),

compared as (

    select
        merchant_id,
        sku_id,
        valid_from,
        price_cents,
        source,
        lag(price_cents) over (partition by merchant_id, sku_id order by valid_from) as price_before_cents
    from ranked
    where place = 1

),

moved as (

    select * from compared
    where price_before_cents is null or price_before_cents <> price_cents

),

final as (

    select
        merchant_id,
        sku_id,
        valid_from,
        {{ version_end(['merchant_id', 'sku_id']) }} as valid_to,
        price_cents,
        price_before_cents,
        source
    from moved

)

select * from final
