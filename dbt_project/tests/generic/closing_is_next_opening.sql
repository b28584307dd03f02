{# What an account closes with is what it opens with next; before its first month it holds nothing. #}
{% test closing_is_next_opening(model, account, month, kind, amount) %}

with bounds as (

    select
        {{ account | join(', ') }},
        {{ month }},
        sum(case when {{ kind }} = 'opening' then {{ amount }} else 0 end) as opening,
        sum(case when {{ kind }} = 'closing' then {{ amount }} else 0 end) as closing
    from {{ model }}
    group by {{ account | join(', ') }}, {{ month }}

),

chained as (

    select
        *,
        coalesce(lag(closing) over (partition by {{ account | join(', ') }} order by {{ month }}), 0) as closed_before
    from bounds

)

select * from chained where opening <> closed_before

{% endtest %}
