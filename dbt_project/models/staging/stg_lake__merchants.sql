with source as (

    select * from {{ source('lake', 'merchants') }}

),

renamed as (

    select
        cast(merchant_id as string) as merchant_id,
        cast(name as string) as name,
        cast(scene as string) as scene,
        cast(region_code as string) as region_code,
        cast(joined_on as date) as joined_on,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
