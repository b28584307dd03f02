{{ config(materialized='table') }}

with promotions as (

    select * from {{ ref('stg_lake__promotions') }}

),

weeks as (

    select distinct week_start_on
    from {{ ref('int_dates_spined') }}

),

-- Many promotions share few periods, so weeks are worked out once a period and not once a promotion.
periods as (

    select distinct
        starts_at,
        ends_at
    from promotions

),

-- The end is exclusive: a promotion that ends on Monday at 00:00 does not reach that Monday's week.
spans as (

    select
        starts_at,
        ends_at,
        {{ week_start(local_date('starts_at')) }} as first_week_on,
        case
            when ends_at > starts_at then {{ week_start(local_date(add_seconds('ends_at', -1))) }}
            else {{ week_start(local_date('starts_at')) }}
        end as last_week_on
    from periods

),

final as (

    select
        spans.starts_at,
        spans.ends_at,
        weeks.week_start_on
    from spans
    inner join weeks
        on weeks.week_start_on >= spans.first_week_on
        and weeks.week_start_on <= spans.last_week_on

)

select * from final
