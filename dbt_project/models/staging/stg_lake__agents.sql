with source as (

    select * from {{ source('lake', 'agents') }}

),

renamed as (

    select
        cast(agent_id as string) as agent_id,
        cast(merchant_id as string) as merchant_id,
        cast(inviter_agent_id as string) as inviter_agent_id,
        cast(tier as string) as tier,
        cast(region_code as string) as region_code,
        cast(joined_on as date) as joined_on,
        cast(is_active as boolean) as is_active,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
