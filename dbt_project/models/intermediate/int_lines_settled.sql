with legs as (

    select * from {{ in_this_file(ref('fct_settlement_legs')) }}
    where line_no > 0 and not is_replaced

),

-- The legs of a line sum to what was paid for it. Its first release is that of the line; shares may be locked longer.
final as (

    select
        order_id,
        line_no,
        min(consumer_id) as consumer_id,
        min(merchant_id) as merchant_id,
        min(case when payee_type = 'agent' and leg_kind = 'direct' then payee_id end) as agent_id,
        min(case when payee_type = 'agent' and leg_kind = 'direct' then accrued_at end) as agent_accrued_at,
        min(case when payee_type = 'agent' and leg_kind = 'direct' then released_at end) as agent_released_at,
        min(released_at) as released_at,
        sum(amount_cents) as net_paid_cents,
        sum(channel_cents) as kept_cents,
        min(origin) as origin
    from legs
    group by
        order_id,
        line_no

)

select * from final
