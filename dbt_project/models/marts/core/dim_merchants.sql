with merchants as (

    select * from {{ ref('stg_lake__merchants') }}

),

final as (

    select
        merchant_id,
        name,
        scene,
        region_code,
        joined_on,
        origin,
        received_at
    from merchants

)

select * from final
