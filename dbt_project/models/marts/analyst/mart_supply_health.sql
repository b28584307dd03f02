with suppliers as (

    select * from {{ ref('dim_suppliers') }}

),

parcels as (

    select
        supplier_id,
        sum(case when is_delivered then 0 else 1 end) as parcels_under_way,
        sum(case when is_late and not is_delivered then 1 else 0 end) as parcels_overdue,
        sum(case when is_delivered then 1 else 0 end) as parcels_arrived_30d,
        sum(
            case when is_delivered and {{ elapsed_days('promised_at', 'delivered_at') }} > 1.0 then 1 else 0 end
        ) as parcels_day_late_30d,
        max(origin) as parcel_origin
    from {{ ref('fct_shipments') }}
    where shipped_at is not null
        and {{ elapsed_days('shipped_at', as_of()) }} < 30.0
    group by supplier_id

),

observations as (

    select
        supplier_id,
        kind,
        qty,
        occurred_at,
        origin,
        row_number() over (
            partition by supplier_id, kind
            order by occurred_at desc, observation_id desc
        ) as place
    from {{ ref('fct_supply_observations') }}
    where supplier_id is not null
        and occurred_at <= {{ as_of() }}
        and {{ elapsed_days('occurred_at', as_of()) }} < 28.0
        -- A capacity of one warehouse or sku is not that of the supplier.
        and (kind <> 'capacity' or (warehouse_id is null and sku_id is null))

),

observed as (

    select
        supplier_id,
        count(*) as observations_28d,
        max(occurred_at) as observed_at,
        max(case when kind = 'capacity' and place = 1 then qty end) as capacity_per_day,
        max(origin) as observation_origin
    from observations
    group by supplier_id

),

usual as (

    select
        supplier_id,
        {{ percentile('qty', 0.5) }} as usual_capacity_per_day
    from observations
    where kind = 'capacity' and place > 1
    group by supplier_id

),

final as (

    select
        suppliers.supplier_id,
        suppliers.name,
        suppliers.is_active,
        -- Filled from the watch's alarms when the file is handed to analysts: their rules have one home.
        cast(0 as bigint) as open_delay_alarms,
        cast(0 as bigint) as open_capacity_alarms,
        cast(null as {{ instant_type() }}) as oldest_alarm_at,
        cast(coalesce(parcels.parcels_under_way, 0) as bigint) as parcels_under_way,
        cast(coalesce(parcels.parcels_overdue, 0) as bigint) as parcels_overdue,
        cast(coalesce(parcels.parcels_arrived_30d, 0) as bigint) as parcels_arrived_30d,
        cast(coalesce(parcels.parcels_day_late_30d, 0) as bigint) as parcels_day_late_30d,
        {{ ratio('parcels.parcels_day_late_30d', 'parcels.parcels_arrived_30d') }} as day_late_rate_30d,
        cast(coalesce(observed.observations_28d, 0) as bigint) as observations_28d,
        observed.observed_at,
        observed.capacity_per_day,
        usual.usual_capacity_per_day,
        {{ ratio('observed.capacity_per_day', 'usual.usual_capacity_per_day') }} as capacity_ratio,
        parcels.parcel_origin,
        observed.observation_origin
    from suppliers
    left join parcels on suppliers.supplier_id = parcels.supplier_id
    left join observed on suppliers.supplier_id = observed.supplier_id
    left join usual on suppliers.supplier_id = usual.supplier_id

)

select * from final
