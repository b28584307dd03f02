{{ config(materialized='table') }}

with promotions as (

    select * from {{ ref('int_promotions_placed') }}

),

periods as (

    select * from {{ ref('int_promotion_periods_expanded') }}

),

-- A sku is one bit of a word of 63: a group holds words instead of rows, so 20.9 M rows never lie in memory at once,
-- and two promotions of one sku in the same week set the same bit.
numbered as (

    select
        sku_id,
        category_l2_id,
        row_number() over (partition by category_l2_id order by sku_id) - 1 as sku_no
    from {{ ref('int_products_categorised') }}

),

products as (

    select
        sku_id,
        cast(dense_rank() over (order by category_l2_id) as integer) as category_no,
        cast(floor(sku_no / 63) as integer) as word_no,
        {{ bit('sku_no % 63') }} as sku_bit,
        category_l2_id
    from numbered

),

merchants as (

    select
        merchant_id,
        cast(row_number() over (order by merchant_id) as integer) as merchant_no
    from {{ ref('stg_lake__merchants') }}

),

categories as (

    select distinct
        category_no,
        category_l2_id
    from products

),

-- Many promotions share few periods: grouped by period first, spread over weeks afterwards.
period_words as (

    select
        products.category_no,
        products.word_no,
        merchants.merchant_no,
        promotions.starts_at,
        promotions.ends_at,
        bit_or(case when promotions.on_display = 1 then products.sku_bit else 0 end) as display_word,
        bit_or(case when promotions.on_mailer = 1 then products.sku_bit else 0 end) as mailer_word
    from promotions
    inner join products on promotions.sku_id = products.sku_id
    inner join merchants on promotions.merchant_id = merchants.merchant_id
    group by
        products.category_no,
        products.word_no,
        merchants.merchant_no,
        promotions.starts_at,
        promotions.ends_at

),

week_words as (

    select
        period_words.category_no,
        period_words.word_no,
        period_words.merchant_no,
        periods.week_start_on,
        bit_or(period_words.display_word) as display_word,
        bit_or(period_words.mailer_word) as mailer_word
    from period_words
    inner join periods
        on period_words.starts_at = periods.starts_at
        and period_words.ends_at = periods.ends_at
    group by
        period_words.category_no,
        period_words.word_no,
        period_words.merchant_no,
        periods.week_start_on

),

category_weeks as (

    select
        category_no,
        merchant_no,
        week_start_on,
        cast(sum(bit_count(display_word)) as bigint) as display_sku_count,
        cast(sum(bit_count(mailer_word)) as bigint) as mailer_sku_count
    from week_words
    group by
        category_no,
        merchant_no,
        week_start_on

),

final as (

    select
        categories.category_l2_id,
        merchants.merchant_id,
        category_weeks.week_start_on,
        category_weeks.display_sku_count,
        category_weeks.mailer_sku_count
    from category_weeks
    inner join categories on category_weeks.category_no = categories.category_no
    inner join merchants on category_weeks.merchant_no = merchants.merchant_no

)

select * from final
