with points_ledger as (

    select * from {{ ref('stg_lake__points_ledger') }}

),

final as (

    select
        entry_id,
        consumer_id,
        points_delta,
        reason,
        expires_on,
        occurred_at,
        {{ local_date('occurred_at') }} as occurred_on,
        origin,
        received_at
    from points_ledger

)

select * from final
