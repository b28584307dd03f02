with source as (

    select * from {{ source('lake', 'ledger_entries') }}

),

renamed as (

    select
        cast(entry_id as string) as entry_id,
        cast(transaction_id as string) as transaction_id,
        cast(entry_no as int) as entry_no,
        cast(transaction_kind as string) as transaction_kind,
        cast(order_id as string) as order_id,
        cast(account_kind as string) as account_kind,
        cast(party_type as string) as party_type,
        cast(party_id as string) as party_id,
        cast(unit as string) as unit,
        cast(amount as bigint) as amount,
        cast(leg_id as string) as leg_id,
        cast(booked_at as {{ instant_type() }}) as booked_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
