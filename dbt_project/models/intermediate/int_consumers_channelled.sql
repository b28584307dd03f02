with orders as (

    select * from {{ ref('stg_lake__orders') }}

),

channel_orders as (

    select
        consumer_id,
        channel,
        count(*) as order_count
    from orders
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
