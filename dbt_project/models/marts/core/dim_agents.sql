with agents as (

    select * from {{ ref('stg_lake__agents') }}

),

final as (

    select
        agent_id,
        merchant_id,
        inviter_agent_id,
        tier,
        region_code,
        joined_on,
        is_active,
        origin,
        received_at
    from agents

)

select * from final
