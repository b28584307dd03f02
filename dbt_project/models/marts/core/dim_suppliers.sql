with suppliers as (

    select * from {{ ref('stg_lake__suppliers') }}

),

final as (

    select
        supplier_id,
        name,
        channel,
        region_code,
        joined_on,
        is_active,
        origin,
        received_at
    from suppliers

)

select * from final
