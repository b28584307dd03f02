{# Aggregates whose spelling differs between engines. #}

{# Continuous percentile of a column inside a group, nulls left out. #}
{% macro percentile(expression, fraction) -%}
    {{ return(adapter.dispatch('percentile', 'muyun')(expression, fraction)) }}
{%- endmacro %}

{# Not Spark's own percentile, which rounds otherwise from one release to the next. #}
{% macro default__percentile(expression, fraction) -%}
    {%- set at -%} (size(v) - 1) * cast({{ fraction }} as double) {%- endset -%}
    transform(
        array(sort_array(collect_list(cast({{ expression }} as double)))),
        v -> case when size(v) > 0 then
            v[cast(floor({{ at }}) as int)] * (cast(1 as double) - ({{ at }} - floor({{ at }})))
            + v[cast(ceil({{ at }}) as int)] * ({{ at }} - floor({{ at }}))
        end
    )[0]
{%- endmacro %}

{% macro duckdb__percentile(expression, fraction) -%}
    quantile_cont({{ expression }}, {{ fraction }})
{%- endmacro %}


{# The mean of durations in days inside a group. A sum of doubles depends on its order, and so on the engine; whole
   microseconds do not. #}
{% macro mean_days(expression) -%}
    (cast(sum(cast(round({{ expression }} * 86400000000) as bigint)) as double)
        / nullif(count({{ expression }}), 0) / 86400000000)
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
