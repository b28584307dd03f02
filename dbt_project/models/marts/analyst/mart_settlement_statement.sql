with entries as (

    select * from {{ ref('int_ledger_entries_dated') }}

),

past_months as (

    select distinct month_start_on
    from {{ ref('dim_dates') }}
    where month_start_on <= {{ utc_month(as_of()) }}

),

-- What was booked later than the build moment still stands in a statement.
months as (

    select month_start_on from past_months
    union
    select month_start_on from entries

),

accounts as (

    select
        party_type,
        party_id,
        account_kind,
        min(month_start_on) as first_month_on,
        case when min(origin) = max(origin) then min(origin) else 'both' end as origin
    from entries
    group by
        party_type,
        party_id,
        account_kind

),

movements as (

    select
        party_type,
        party_id,
        account_kind,
        month_start_on,
        transaction_kind,
        sum(amount_cents) as amount_cents,
        count(*) as entry_count
    from entries
    group by
        party_type,
        party_id,
        account_kind,
        month_start_on,
        transaction_kind

),

monthly as (

    select
        party_type,
        party_id,
        account_kind,
        month_start_on,
        sum(amount_cents) as moved_cents,
        sum(entry_count) as entry_count
    from movements
    group by
        party_type,
        party_id,
        account_kind,
        month_start_on

),

spined as (

    select
        accounts.party_type,
        accounts.party_id,
        accounts.account_kind,
        months.month_start_on,
        coalesce(monthly.moved_cents, 0) as moved_cents,
        coalesce(monthly.entry_count, 0) as entry_count,
        accounts.origin
    from accounts
    inner join months on months.month_start_on >= accounts.first_month_on
    left join monthly
        on accounts.party_type = monthly.party_type
        and accounts.party_id = monthly.party_id
        and accounts.account_kind = monthly.account_kind
        and months.month_start_on = monthly.month_start_on

),

running as (

    select
        *,
        sum(moved_cents) over (
            partition by party_type, party_id, account_kind
            order by month_start_on
            rows between unbounded preceding and current row
        ) as closing_cents
    from spined

),

-- A month in which an account held nothing and nothing moved needs no statement.
stated as (

    select * from running where closing_cents <> 0 or moved_cents <> 0 or entry_count > 0

),

rows_of_statements as (

    select
        party_type,
        party_id,
        account_kind,
        month_start_on,
        'opening' as row_kind,
        'opening' as movement_kind,
        closing_cents - moved_cents as amount_cents,
        0 as entry_count,
        origin
    from stated

    union all

    select
        movements.party_type,
        movements.party_id,
        movements.account_kind,
        movements.month_start_on,
        'movement' as row_kind,
        movements.transaction_kind as movement_kind,
        movements.amount_cents,
        movements.entry_count,
        accounts.origin
    from movements
    inner join accounts
        on movements.party_type = accounts.party_type
        and movements.party_id = accounts.party_id
        and movements.account_kind = accounts.account_kind

    union all

    select
        party_type,
        party_id,
        account_kind,
        month_start_on,
        'closing' as row_kind,
        'closing' as movement_kind,
        closing_cents as amount_cents,
        0 as entry_count,
        origin
    from stated

),

final as (

    select
        party_type,
        party_id,
        month_start_on,
        account_kind,
        row_kind,
        movement_kind,
        cast(amount_cents as bigint) as amount_cents,
        cast(entry_count as bigint) as entry_count,
        origin
    from rows_of_statements

)

select * from final
