with entries as (

    select * from {{ ref('int_ledger_entries_dated') }}

),

-- Unfreezing moves money between the two channel accounts, so it cancels out; pay-outs belong to no order.
final as (

    select
        order_id,
        sum(channel_cents) as channel_cents
    from entries
    where order_id is not null
    group by order_id

)

select * from final
