{# Aggregates whose spelling differs between engines. #}

{# Continuous percentile of a column inside a group, nulls left out. #}
{% macro percentile(expression, fraction) -%}
    {{ return(adapter.dispatch('percentile', 'muyun')(expression, fraction)) }}
{%- endmacro %}

{% macro default__percentile(expression, fraction) -%}
    percentile({{ expression }}, {{ fraction }})
{%- endmacro %}

{% macro duckdb__percentile(expression, fraction) -%}
    quantile_cont({{ expression }}, {{ fraction }})
{%- endmacro %}


{# A whole number with one bit set, counted from 0; the bit aggregates have the same names on both engines. #}
{% macro bit(position) -%}
    {{ return(adapter.dispatch('bit', 'muyun')(position)) }}
{%- endmacro %}

{% macro default__bit(position) -%}
    shiftleft(cast(1 as bigint), cast({{ position }} as int))
{%- endmacro %}

{% macro duckdb__bit(position) -%}
    (cast(1 as bigint) << ({{ position }}))
{%- endmacro %}
