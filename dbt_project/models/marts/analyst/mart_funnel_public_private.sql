with touches as (

    select
        coalesce(consumer_id, 'visitor ' || anonymous_id) as person,
        consumer_id,
        anonymous_id,
        channel,
        occurred_at,
        occurred_on,
        origin
    from {{ ref('fct_touches') }}
    where consumer_id is not null or anonymous_id is not null
    union all
    select
        consumer_id as person,
        consumer_id,
        cast(null as string) as anonymous_id,
        channel,
        sent_at as occurred_at,
        sent_on as occurred_on,
        origin
    from {{ ref('fct_messages') }}
    -- A message that failed reached nobody.
    where coalesce(outcome, '') <> 'failed'

),

ranked as (

    select
        *,
        row_number() over (partition by person order by occurred_at, channel) as place
    from touches

),

-- A person counts where and when a channel reached him first.
firsts as (

    select
        person,
        consumer_id,
        anonymous_id,
        channel,
        occurred_at as reached_at,
        occurred_on as reached_on,
        origin
    from ranked
    where place = 1

),

visitors as (

    select firsts.person
    from firsts
    inner join {{ ref('fct_events') }} as events on firsts.consumer_id = events.consumer_id
    where events.occurred_at >= firsts.reached_at
    union
    select firsts.person
    from firsts
    inner join {{ ref('fct_events') }} as events on firsts.anonymous_id = events.anonymous_id
    where firsts.consumer_id is null and events.occurred_at >= firsts.reached_at

),

buyers as (

    select
        firsts.consumer_id,
        count(*) as orders
    from firsts
    inner join {{ ref('fct_orders') }} as orders on firsts.consumer_id = orders.consumer_id
    where orders.is_sale and orders.placed_at > firsts.reached_at
    group by firsts.consumer_id

),

final as (

    select
        cast({{ dbt.date_trunc('month', 'firsts.reached_on') }} as date) as month_start_on,
        firsts.channel,
        count(*) as reached,
        cast(sum(case when visitors.person is not null then 1 else 0 end) as bigint) as clicked,
        cast(sum(case when consumers.consumer_id is not null then 1 else 0 end) as bigint) as known,
        cast(sum(case when consumers.consent_marketing then 1 else 0 end) as bigint) as consented,
        cast(sum(case when buyers.orders >= 1 then 1 else 0 end) as bigint) as bought,
        cast(sum(case when buyers.orders >= 2 then 1 else 0 end) as bigint) as bought_again,
        max(firsts.origin) as origin
    from firsts
    left join {{ ref('dim_consumers') }} as consumers on firsts.consumer_id = consumers.consumer_id
    left join visitors on firsts.person = visitors.person
    left join buyers on firsts.consumer_id = buyers.consumer_id
    group by
        cast({{ dbt.date_trunc('month', 'firsts.reached_on') }} as date),
        firsts.channel

)

select * from final
