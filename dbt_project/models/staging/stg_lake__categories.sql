with source as (

    select * from {{ source('lake', 'categories') }}

),

renamed as (

    select
        cast(category_id as string) as category_id,
        cast(parent_category_id as string) as parent_category_id,
        cast(name as string) as name,
        cast(level as bigint) as level,
        cast(role as string) as role,
        cast(theme as string) as theme,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
