with source as (

    select * from {{ source('lake', 'level_changes') }}

),

renamed as (

    select
        cast(change_id as string) as change_id,
        cast(consumer_id as string) as consumer_id,
        cast(cause as string) as cause,
        cast(level as string) as level,
        cast(growth as bigint) as growth,
        cast(growth_to_next as bigint) as growth_to_next,
        cast(is_at_risk as boolean) as is_at_risk,
        cast(changed_at as {{ instant_type() }}) as changed_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
