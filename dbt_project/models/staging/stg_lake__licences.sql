with source as (

    select * from {{ source('lake', 'licences') }}

),

renamed as (

    select
        cast(licence_id as string) as licence_id,
        cast(licence_no as string) as licence_no,
        cast(kind as string) as kind,
        cast(supplier_id as string) as supplier_id,
        cast(merchant_id as string) as merchant_id,
        cast(brand_id as string) as brand_id,
        cast(starts_on as date) as starts_on,
        cast(ends_on as date) as ends_on,
        cast(status as string) as status,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
