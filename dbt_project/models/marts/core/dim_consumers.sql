with consumers as (

    select * from {{ ref('stg_lake__consumers') }}

),

statements as (

    select * from {{ ref('fct_consents') }}

),

-- The latest statement about a purpose stands, whatever the feed says of the consumer.
ranked as (

    select
        consumer_id,
        purpose,
        is_granted,
        row_number() over (partition by consumer_id, purpose order by stated_at desc) as statement_rank
    from statements

),

stated as (

    select
        consumer_id,
        max(case when purpose = 'marketing' then case when is_granted then 1 else 0 end end) as marketing,
        max(case when purpose = 'profiling' then case when is_granted then 1 else 0 end end) as profiling
    from ranked
    where statement_rank = 1
    group by consumer_id

),

order_times as (

    select
        consumer_id,
        min(placed_at) as first_order_at,
        max(placed_at) as last_order_at
    from {{ ref('int_order_lines_classified') }}
    where is_current and is_sale and consumer_id is not null
    group by consumer_id

),

final as (

    select
        consumers.consumer_id,
        consumers.merchant_id,
        consumers.inviter_id,
        consumers.registered_at,
        consumers.acquisition_channel,
        consumers.birthday,
        consumers.gender,
        consumers.city,
        consumers.household_size,
        consumers.income_band,
        coalesce(stated.marketing = 1, consumers.consent_marketing) as consent_marketing,
        coalesce(stated.profiling = 1, consumers.consent_profiling) as consent_profiling,
        order_times.first_order_at,
        order_times.last_order_at,
        consumers.origin,
        consumers.received_at
    from consumers
    left join stated on consumers.consumer_id = stated.consumer_id
    left join order_times on consumers.consumer_id = order_times.consumer_id

)

select * from final
