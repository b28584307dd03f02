with edges as (

    select * from {{ ref('stg_lake__identity_edges') }}

),

final as (

    select
        anonymous_id,
        consumer_id,
        valid_from,
        evidence,
        revoked_at,
        origin,
        received_at
    from edges

)

select * from final
