with final as (

    -- Filled from the operational database when the file is handed to analysts: who was a member when is known there.
    select
        cast(null as string) as community_id,
        cast(null as string) as merchant_id,
        cast(null as string) as title,
        cast(null as date) as week_start_on,
        cast(null as bigint) as member_count,
        cast(null as bigint) as joined_count,
        cast(null as bigint) as left_count,
        cast(null as bigint) as active_count,
        cast(null as bigint) as order_count,
        cast(null as bigint) as net_sales_cents,
        cast(null as bigint) as margin_cents,
        cast(null as bigint) as promotion_order_count,
        cast(null as bigint) as promotion_cost_cents,
        cast(null as bigint) as text_count,
        cast(null as bigint) as complaint_count,
        cast(null as double) as complaint_share
    where false

)

select * from final
