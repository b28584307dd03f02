with suppliers as (

    select * from {{ ref('int_suppliers_completed') }}

),

final as (

    select
        supplier_id,
        name,
        channel,
        region_code,
        joined_on,
        is_active,
        is_implied,
        origin,
        received_at
    from suppliers

)

select * from final
