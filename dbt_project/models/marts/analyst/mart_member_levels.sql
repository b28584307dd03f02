with changes as (

    select * from {{ ref('fct_level_changes') }}

),

-- A stay on a level, until the member goes to another one.
stays as (

    select
        consumer_id,
        level,
        changed_at as since_at,
        lead(changed_at) over (
            partition by consumer_id
            order by changed_at, length(change_id), change_id
        ) as until_at
    from changes
    where cause in ('joined', 'up', 'down')

),

lines as (

    select
        consumer_id,
        order_id,
        placed_at,
        {{ utc_month('placed_at') }} as month_start_on,
        net_paid_cents,
        margin_cents
    from {{ ref('fct_order_lines') }}
    where is_counted and consumer_id is not null

),

sold as (

    select
        stays.level,
        lines.month_start_on,
        count(distinct lines.consumer_id) as buyer_count,
        count(distinct lines.order_id) as order_count,
        sum(lines.net_paid_cents) as net_sales_cents,
        sum(lines.margin_cents) as margin_cents
    from lines
    inner join stays
        on lines.consumer_id = stays.consumer_id
        and lines.placed_at >= stays.since_at
        and (stays.until_at is null or lines.placed_at < stays.until_at)
    group by
        stays.level,
        lines.month_start_on

),

moves as (

    select
        level,
        {{ utc_month('since_at') }} as month_start_on,
        1 as entered,
        0 as gone
    from stays
    union all
    select
        level,
        {{ utc_month('until_at') }} as month_start_on,
        0 as entered,
        1 as gone
    from stays
    where until_at is not null

),

moved as (

    select
        level,
        month_start_on,
        sum(entered) as entered_count,
        sum(gone) as left_count
    from moves
    group by
        level,
        month_start_on

),

-- From the month of the first member on, every month that had a sale or a move.
months as (

    select month_start_on from moved
    union
    select month_start_on from lines
    where month_start_on >= (select min(moved.month_start_on) from moved)

),

levels as (

    select distinct level from stays

),

final as (

    select
        levels.level,
        months.month_start_on,
        cast(sum(coalesce(moved.entered_count, 0) - coalesce(moved.left_count, 0)) over (
            partition by levels.level order by months.month_start_on
            rows between unbounded preceding and current row
        ) as bigint) as member_count,
        cast(coalesce(moved.entered_count, 0) as bigint) as entered_count,
        cast(coalesce(moved.left_count, 0) as bigint) as left_count,
        cast(coalesce(sold.buyer_count, 0) as bigint) as buyer_count,
        cast(coalesce(sold.order_count, 0) as bigint) as order_count,
        cast(coalesce(sold.net_sales_cents, 0) as bigint) as net_sales_cents,
        cast(coalesce(sold.margin_cents, 0) as bigint) as margin_cents,
        -- Filled from the coupons of levels when the file is handed to analysts: no feed knows them.
        cast(0 as bigint) as coupon_count,
        cast(0 as bigint) as redeemed_count,
        cast(0 as bigint) as coupon_cost_cents
    from levels
    cross join months
    left join moved
        on levels.level = moved.level
        and months.month_start_on = moved.month_start_on
    left join sold
        on levels.level = sold.level
        and months.month_start_on = sold.month_start_on

)

select * from final
