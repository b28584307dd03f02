with final as (

    -- Filled from what came of the runs when the file is handed to analysts: the verdict's rule has one home.
    select
        cast(null as string) as journey_id,
        cast(null as string) as title,
        cast(null as bigint) as version,
        cast(null as string) as state,
        cast(null as string) as goal,
        cast(null as string) as arm,
        cast(null as boolean) as is_simulated,
        cast(null as bigint) as run_count,
        cast(null as bigint) as assigned_count,
        cast(null as bigint) as sent_count,
        cast(null as bigint) as delivered_count,
        cast(null as bigint) as failed_count,
        cast(null as bigint) as clicked_count,
        cast(null as bigint) as opted_out_count,
        cast(null as bigint) as converted_count,
        cast(null as double) as conversion_share,
        cast(null as bigint) as margin_cents,
        cast(null as bigint) as message_cost_cents,
        cast(null as bigint) as net_margin_cents,
        cast(null as double) as difference,
        cast(null as double) as difference_low,
        cast(null as double) as difference_high,
        cast(null as double) as ratio_p,
        cast(null as string) as verdict
    where false

)

select * from final
