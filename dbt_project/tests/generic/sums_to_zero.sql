{# An expression sums to zero in every group; to the cent, no tolerance. #}
{% test sums_to_zero(model, group_by, expression) %}

select
    {{ group_by | join(', ') }},
    sum({{ expression }}) as difference
from {{ model }}
group by {{ group_by | join(', ') }}
having sum({{ expression }}) <> 0

{% endtest %}
