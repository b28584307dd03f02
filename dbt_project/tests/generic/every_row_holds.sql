{# The expression is true on every row; a null answer fails as well, so nullable columns must be spelled out. #}
{% test every_row_holds(model, expression) %}

select *
from {{ model }}
where not coalesce({{ expression }}, false)

{% endtest %}
