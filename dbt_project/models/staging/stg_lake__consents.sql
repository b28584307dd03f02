with source as (

    select * from {{ source('lake', 'consents') }}

),

renamed as (

    select
        cast(consumer_id as string) as consumer_id,
        cast(purpose as string) as purpose,
        cast(stated_at as {{ instant_type() }}) as stated_at,
        cast(is_granted as boolean) as is_granted,
        cast(source as string) as source,
        cast(received_at as {{ instant_type() }}) as received_at,
        cast(origin as string) as origin
    from source

)

select * from renamed
