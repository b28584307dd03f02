with source as (

    select * from {{ source('lake', 'promotions') }}

),

renamed as (

    select
        cast(promotion_id as string) as promotion_id,
        cast(merchant_id as string) as merchant_id,
        cast(sku_id as string) as sku_id,
        cast(kind as string) as kind,
        cast(discount_bps as bigint) as discount_bps,
        cast(starts_at as {{ instant_type() }}) as starts_at,
        cast(ends_at as {{ instant_type() }}) as ends_at,
        cast(display_location as string) as display_location,
        cast(mailer_location as string) as mailer_location,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
