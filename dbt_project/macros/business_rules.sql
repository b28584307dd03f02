{# Business rules that more than one model uses. Portable SQL. #}

{# What a line is, from its categories. Fuel and coupon lines carry quantities in the thousands (cents and litres, not
   units), so only merchandise counts as units and demand; money counts every line. "Misc" alone names real goods
   (crackers, dairy, wine); only the coupon categories do not. #}
{% macro line_kind(category_l1_id, category_l2_id) -%}
    case
        when {{ category_l1_id }} in ('l1-fuel', 'l1-kiosk-gas') then 'fuel'
        when {{ category_l1_id }} = 'l1-coupon' or {{ category_l2_id }} like '%coupon%' then 'non_merchandise'
        else 'merchandise'
    end
{%- endmacro %}


{# A ratio as double; null when the denominator is zero or null. #}
{% macro ratio(numerator, denominator) -%}
    (cast({{ numerator }} as double) / nullif({{ denominator }}, 0))
{%- endmacro %}
