{# Column sums agree between two relations for every value of the key; a key missing on one side counts as zero.
   `compare_where` narrows the other relation, `compare_columns` names what is summed there where it differs. #}
{% test sums_match(model, compare_to, key, columns, compare_where='true', compare_columns=none) %}

with left_side as (

    select
        {{ key | join(', ') }}
        {%- for column in columns %},
        sum({{ column }}) as {{ column }}
        {%- endfor %}
    from {{ model }}
    group by {{ key | join(', ') }}

),

right_side as (

    select
        {{ key | join(', ') }}
        {%- for column in columns %},
        sum({{ compare_columns[loop.index0] if compare_columns else column }}) as {{ column }}
        {%- endfor %}
    from {{ compare_to }}
    where {{ compare_where }}
    group by {{ key | join(', ') }}

)

select
    {%- for column in key %}
    coalesce(left_side.{{ column }}, right_side.{{ column }}) as {{ column }},
    {%- endfor %}
    {%- for column in columns %}
    left_side.{{ column }} as left_{{ column }},
    right_side.{{ column }} as right_{{ column }}{{ "," if not loop.last }}
    {%- endfor %}
from left_side
full outer join right_side
    on {% for column in key %}{{ "and " if not loop.first }}left_side.{{ column }} = right_side.{{ column }} {% endfor %}
where
    {%- for column in columns %}
    {{ "or " if not loop.first }}coalesce(left_side.{{ column }}, 0) <> coalesce(right_side.{{ column }}, 0)
    {%- endfor %}

{% endtest %}
