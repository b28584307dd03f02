with texts as (

    select
        feedback.merchant_id,
        coalesce(products.category_l2_id, 'none') as category_id,
        products.category_l2_name as category_name,
        feedback.topic,
        cast({{ dbt.date_trunc('month', 'feedback.written_on') }} as date) as month_start_on,
        feedback.is_verified,
        feedback.sentiment = 'negative' as is_negative,
        feedback.answered_at is null as is_unanswered,
        feedback.origin
    from {{ ref('fct_feedback') }} as feedback
    left join {{ ref('dim_products') }} as products on feedback.sku_id = products.sku_id
    where feedback.topic is not null

),

months as (

    select
        merchant_id,
        category_id,
        max(category_name) as category_name,
        topic,
        month_start_on,
        cast(count(*) as bigint) as text_count,
        cast(sum(case when is_verified then 1 else 0 end) as bigint) as verified_count,
        cast(sum(case when is_negative then 1 else 0 end) as bigint) as negative_count,
        cast(sum(case when is_negative and is_unanswered then 1 else 0 end) as bigint) as unanswered_count,
        max(origin) as origin
    from texts
    group by merchant_id, category_id, topic, month_start_on

),

-- Each month stands for itself and, a month later, as the one before: a topic of which nobody writes any more
-- has a row that says so.
by_month as (

    select
        *,
        0 as text_count_before,
        0 as negative_count_before
    from months
    union all
    select
        merchant_id,
        category_id,
        category_name,
        topic,
        cast({{ dbt.dateadd('month', 1, 'month_start_on') }} as date) as month_start_on,
        0 as text_count,
        0 as verified_count,
        0 as negative_count,
        0 as unanswered_count,
        origin,
        text_count as text_count_before,
        negative_count as negative_count_before
    from months

),

beside as (

    select
        merchant_id,
        category_id,
        max(category_name) as category_name,
        topic,
        month_start_on,
        cast(sum(text_count) as bigint) as text_count,
        cast(sum(verified_count) as bigint) as verified_count,
        cast(sum(negative_count) as bigint) as negative_count,
        cast(sum(unanswered_count) as bigint) as unanswered_count,
        cast(sum(text_count_before) as bigint) as text_count_before,
        cast(sum(negative_count_before) as bigint) as negative_count_before,
        max(origin) as origin
    from by_month
    where month_start_on <= {{ as_of_date() }}
    group by merchant_id, category_id, topic, month_start_on

),

final as (

    select
        merchant_id,
        category_id,
        category_name,
        topic,
        month_start_on,
        text_count,
        verified_count,
        negative_count,
        {{ ratio('negative_count', 'text_count') }} as negative_share,
        {{ ratio('negative_count', 'sum(negative_count) over (partition by merchant_id, category_id, month_start_on)') }}
            as complaint_share,
        unanswered_count,
        text_count_before,
        negative_count_before,
        text_count - text_count_before as text_change,
        negative_count - negative_count_before as negative_change,
        origin
    from beside

)

select * from final
