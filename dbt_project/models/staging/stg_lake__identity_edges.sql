with source as (

    select * from {{ source('lake', 'identity_edges') }}

),

renamed as (

    select
        cast(anonymous_id as string) as anonymous_id,
        cast(consumer_id as string) as consumer_id,
        cast(valid_from as {{ instant_type() }}) as valid_from,
        cast(evidence as string) as evidence,
        cast(revoked_at as {{ instant_type() }}) as revoked_at,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
