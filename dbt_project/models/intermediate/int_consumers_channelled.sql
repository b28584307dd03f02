-- An order counts for its consumer when it has a sale; guests have no consumer.
with channel_orders as (

    select
        consumer_id,
        channel,
        count(distinct order_id) as order_count
    from {{ ref('int_order_lines_classified') }}
    where is_current and is_sale and consumer_id is not null
    group by
        consumer_id,
        channel

),

-- The alphabet breaks ties, so the answer does not depend on row order.
ranked as (

    select
        consumer_id,
        channel,
        row_number() over (partition by consumer_id order by order_count desc, channel) as channel_rank
    from channel_orders

),

final as (

    select
        consumer_id,
        channel as main_channel
    from ranked
    where channel_rank = 1

)

select * from final
