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
