{# As-of logic for versioned rows (offers, listings): a version is in force from valid_from until the next one starts. #}

{# End of a version: the start of the next one with the same key, null for the last. #}
{% macro version_end(key_columns, valid_from='valid_from') -%}
    lead({{ valid_from }}) over (partition by {{ key_columns | join(', ') }} order by {{ valid_from }})
{%- endmacro %}


{# True when the version is in force at the instant: valid_from <= instant < valid_to. Plain comparisons, so the join
   stays a hash join on its key columns on every engine and no ASOF join is needed. #}
{% macro is_in_force(instant, valid_from, valid_to) -%}
    ({{ instant }} >= {{ valid_from }}
        and {{ instant }} < coalesce({{ valid_to }}, cast('9999-12-31T00:00:00+00:00' as {{ muyun.instant_type() }})))
{%- endmacro %}
