with consents as (

    select * from {{ ref('stg_lake__consents') }}

),

final as (

    select
        consumer_id,
        purpose,
        stated_at,
        is_granted,
        source,
        origin,
        received_at
    from consents

)

select * from final
