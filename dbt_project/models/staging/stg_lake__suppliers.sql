with source as (

    select * from {{ source('lake', 'suppliers') }}

),

renamed as (

    select
        cast(supplier_id as string) as supplier_id,
        cast(name as string) as name,
        cast(channel as string) as channel,
        cast(region_code as string) as region_code,
        cast(joined_on as date) as joined_on,
        cast(is_active as boolean) as is_active,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
