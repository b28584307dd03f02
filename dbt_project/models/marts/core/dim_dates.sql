with dates as (

    select * from {{ ref('int_dates_spined') }}

),

final as (

    select
        date_on,
        week_start_on,
        cast({{ dbt.date_trunc('month', 'date_on') }} as date) as month_start_on,
        cast({{ dbt.date_trunc('quarter', 'date_on') }} as date) as quarter_start_on,
        cast(extract(year from date_on) as bigint) as year_no,
        cast(extract(month from date_on) as bigint) as month_no,
        cast(extract(day from date_on) as bigint) as day_of_month,
        {{ days_between('week_start_on', 'date_on') }} + 1 as day_of_week,
        {{ days_between('week_start_on', 'date_on') }} >= 5 as is_weekend,
        date_on <= {{ as_of_date() }} as is_past
    from dates

)

select * from final
