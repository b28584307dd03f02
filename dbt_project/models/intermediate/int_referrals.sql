with final as (

    select
        consumers.inviter_id,
        consumers.consumer_id,
        consumers.registered_at,
        consumers.received_at,
        consumers.superseded_at
    from {{ in_this_file(ref('int_consumers_known')) }} as consumers
    where consumers.inviter_id is not null

)

select * from final
