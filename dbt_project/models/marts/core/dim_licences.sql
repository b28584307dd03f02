with licences as (

    select * from {{ ref('stg_lake__licences') }}

),

holders as (

    select
        kind,
        licence_no,
        coalesce(supplier_id, '') as supplier_id,
        coalesce(merchant_id, '') as merchant_id,
        min(received_at) as stated_at
    from licences
    group by kind, licence_no, coalesce(supplier_id, ''), coalesce(merchant_id, '')

),

ranked as (

    select
        *,
        min(stated_at) over (partition by kind, licence_no) as first_stated_at,
        count(*) over (partition by kind, licence_no, stated_at) as stated_then
    from holders

),

judged as (

    select
        licences.*,
        ranked.stated_at > ranked.first_stated_at or ranked.stated_then > 1 as is_contested
    from licences
    inner join ranked
        on licences.kind = ranked.kind
        and licences.licence_no = ranked.licence_no
        and coalesce(licences.supplier_id, '') = ranked.supplier_id
        and coalesce(licences.merchant_id, '') = ranked.merchant_id

),

final as (

    select
        licence_id,
        licence_no,
        kind,
        supplier_id,
        merchant_id,
        brand_id,
        starts_on,
        ends_on,
        status,
        is_contested,
        status = 'valid'
            and not is_contested
            and starts_on <= {{ as_of_date() }}
            and (ends_on is null or ends_on >= {{ as_of_date() }}) as is_in_force,
        origin,
        received_at
    from judged

)

select * from final
