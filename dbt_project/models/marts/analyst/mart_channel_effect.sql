with touches as (

    select
        channel,
        consumer_id,
        cost_cents,
        origin
    from {{ ref('fct_touches') }}
    -- The name of no channel, whatever a feed says.
    where channel <> 'unattributed'
    union all
    select
        channel,
        consumer_id,
        cast(null as bigint) as cost_cents,
        origin
    from {{ ref('fct_messages') }}
    -- A message that failed touched nobody.
    where channel <> 'unattributed' and coalesce(outcome, '') <> 'failed'

),

by_channel as (

    select
        channel,
        count(*) as touches,
        count(distinct consumer_id) as touched_consumers,
        cast(sum(cost_cents) as bigint) as spend_cents,
        count(cost_cents) as touches_with_cost,
        max(origin) as origin
    from touches
    group by channel

),

rows as (

    select * from by_channel
    union all
    select
        'unattributed' as channel,
        0 as touches,
        0 as touched_consumers,
        cast(null as bigint) as spend_cents,
        0 as touches_with_cost,
        cast(null as string) as origin

),

final as (

    select
        channel,
        touches,
        touched_consumers,
        spend_cents,
        touches_with_cost,
        -- Filled when the file is handed to analysts: credits and tests have one home.
        cast(null as bigint) as touched_orders,
        cast(null as bigint) as first_cents,
        cast(null as bigint) as last_cents,
        cast(null as bigint) as linear_cents,
        cast(null as bigint) as position_cents,
        cast(null as bigint) as time_decay_cents,
        cast(null as bigint) as markov_cents,
        cast(null as bigint) as shapley_cents,
        'not_tested' as evidence,
        cast(null as bigint) as incremental_cents,
        cast(null as bigint) as incremental_low_cents,
        cast(null as bigint) as incremental_high_cents,
        cast(null as string) as test_id,
        cast(null as date) as tested_from_on,
        cast(null as date) as tested_until_on,
        cast(null as bigint) as units_with,
        cast(null as bigint) as units_without,
        cast(null as bigint) as touched_although_off,
        origin
    from rows

)

select * from final
