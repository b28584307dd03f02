with orders as (

    select * from {{ in_this_file(ref('fct_orders')) }}

),

settled_agents as (

    select
        order_id,
        min(agent_id) as agent_id
    from {{ in_this_file(ref('int_lines_settled')) }}
    where agent_id is not null
    group by order_id

),

sellers as (

    select
        orders.*,
        coalesce(orders.agent_id, settled_agents.agent_id) as seller_agent_id
    from orders
    left join settled_agents on orders.order_id = settled_agents.order_id

),

parties as (

    select
        'merchant' as party_type,
        merchant_id as party_id,
        order_id,
        consumer_id,
        placed_at,
        state,
        is_sale,
        sold_cents,
        returned_cents,
        net_sales_cents,
        net_paid_cents,
        origin
    from sellers
    union all
    select
        'agent' as party_type,
        seller_agent_id as party_id,
        order_id,
        consumer_id,
        placed_at,
        state,
        is_sale,
        sold_cents,
        returned_cents,
        net_sales_cents,
        net_paid_cents,
        origin
    from sellers
    where seller_agent_id is not null

),

final as (

    select
        *,
        {{ utc_month('placed_at') }} as month_start_on
    from parties

)

select * from final
