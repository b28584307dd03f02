{{ config(materialized='table') }}

with offers as (

    select * from {{ ref('stg_lake__offers') }}

),

versioned as (

    select
        *,
        {{ version_end(['supplier_id', 'sku_id']) }} as valid_to
    from offers

),

final as (

    select
        *,
        {{ is_in_force(as_of(), 'valid_from', 'valid_to') }} as is_current
    from versioned

)

select * from final
