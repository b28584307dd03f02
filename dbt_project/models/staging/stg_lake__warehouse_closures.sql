with source as (

    select * from {{ source('lake', 'warehouse_closures') }}

),

renamed as (

    select
        cast(warehouse_id as string) as warehouse_id,
        cast(closed_on as date) as closed_on,
        cast(reason as string) as reason,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
