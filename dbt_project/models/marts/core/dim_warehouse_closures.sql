with warehouse_closures as (

    select * from {{ ref('stg_lake__warehouse_closures') }}

),

final as (

    select
        warehouse_id,
        closed_on,
        reason,
        origin,
        received_at
    from warehouse_closures

)

select * from final
