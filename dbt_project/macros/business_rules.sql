{# Business rules that more than one model uses. Portable SQL. #}

{# Whether an order counts: paid, and neither taken back nor given back. The word of the source became a state when
   the row was accepted; no model reads words. #}
{% macro is_counted(state) -%}
    coalesce({{ state }} = 'paid', false)
{%- endmacro %}


{# What a sku or a line of it is: the role of the sku itself, else of its nearest category up the tree, else
   merchandise. Only merchandise counts as units and demand; money counts every line. #}
{% macro line_kind(sku_role, category_role) -%}
    coalesce({{ sku_role }}, {{ category_role }}, 'merchandise')
{%- endmacro %}


{# Units of sale from thousandths; sum the thousandths first, so that sums are exact. #}
{% macro units(qty_milli) -%}
    (cast({{ qty_milli }} as double) / 1000)
{%- endmacro %}


{# A ratio as double; null when the denominator is zero or null. #}
{% macro ratio(numerator, denominator) -%}
    (cast({{ numerator }} as double) / nullif({{ denominator }}, 0))
{%- endmacro %}
