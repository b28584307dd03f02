with listings as (

    select * from {{ ref('stg_lake__listings') }}

),

last_sales as (

    select
        merchant_id,
        sku_id,
        max(placed_on) as last_sold_on
    from {{ ref('fct_order_lines') }}
    where is_sale
    group by
        merchant_id,
        sku_id

),

versioned as (

    select
        *,
        {{ version_end(['merchant_id', 'sku_id']) }} as valid_to
    from listings

),

final as (

    select
        versioned.merchant_id,
        versioned.sku_id,
        versioned.valid_from,
        versioned.valid_to,
        {{ is_in_force(as_of(), 'versioned.valid_from', 'versioned.valid_to') }} as is_current,
        versioned.list_price_cents,
        versioned.pricing_mode,
        versioned.is_listed,
        versioned.title,
        versioned.image_hash,
        last_sales.last_sold_on,
        versioned.origin,
        versioned.received_at
    from versioned
    left join last_sales
        on versioned.merchant_id = last_sales.merchant_id
        and versioned.sku_id = last_sales.sku_id

)

select * from final
