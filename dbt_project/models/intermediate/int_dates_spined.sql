{{ config(materialized='table') }}

with digits as (

    select 0 as digit
    union all select 1
    union all select 2
    union all select 3
    union all select 4
    union all select 5
    union all select 6
    union all select 7
    union all select 8
    union all select 9

),

numbers as (

    select ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit as n
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands

),

bounds as (

    select
        {{ week_start(dbt.date_trunc('year', local_date('min(placed_at)'))) }} as first_on,
        {{ add_days(as_of_date(), 366) }} as last_on
    from {{ ref('stg_lake__orders') }}

),

spined as (

    select {{ add_days('coalesce(bounds.first_on, ' ~ as_of_date() ~ ')', 'numbers.n') }} as date_on
    from bounds
    cross join numbers
    where numbers.n <= {{ days_between('coalesce(bounds.first_on, ' ~ as_of_date() ~ ')', 'bounds.last_on') }}

),

final as (

    select
        date_on,
        {{ week_start('date_on') }} as week_start_on
    from spined

)

select * from final
