with entries as (

    select * from {{ ref('stg_lake__ledger_entries') }}

),

final as (

    select
        entry_id,
        transaction_id,
        transaction_kind,
        order_id,
        account_kind,
        party_type,
        party_id,
        amount as amount_cents,
        case when account_kind in ('channel_frozen', 'channel_available') then -amount else 0 end as channel_cents,
        booked_at,
        {{ utc_month('booked_at') }} as month_start_on,
        origin
    from entries
    where unit = 'CNY'

)

select * from final
