{# As-of logic for versioned rows (offers, listings): a version is in force from valid_from until the next one starts. #}

{# End of a version: the start of the next one with the same key, null for the last. #}
{% macro version_end(key_columns, valid_from='valid_from') -%}
    lead({{ valid_from }}) over (partition by {{ key_columns | join(', ') }} order by {{ valid_from }})
{%- endmacro %}


{# The moment that never comes: the end of what has none, where the smaller of two ends is taken. #}
{% macro never() -%}
    cast('9999-12-31T00:00:00+00:00' as {{ muyun.instant_type() }})
{%- endmacro %}


{# True when the version is in force at the instant: valid_from <= instant < valid_to. Plain comparisons, so the join
   stays a hash join on its key columns on every engine and no ASOF join is needed. #}
{% macro is_in_force(instant, valid_from, valid_to) -%}
    ({{ instant }} >= {{ valid_from }}
        and {{ instant }} < coalesce({{ valid_to }}, {{ muyun.never() }}))
{%- endmacro %}


{# True when something came before a version was superseded; the newest version never is. A plain comparison: with an
   `or` in it a left join of lines and orders would be a loop over all pairs. #}
{% macro is_known_before(received_at, superseded_at) -%}
    {{ received_at }} < coalesce({{ superseded_at }}, {{ muyun.never() }})
{%- endmacro %}


{# Older versions of the rows of a contract table, as a relation: contract columns and valid_from, superseded_at,
   is_deleted. A lake without corrections may hold no file of them; the relation is then empty. #}
{% macro lake_history(table) -%}
    {{ return(adapter.dispatch('lake_history', 'muyun')(table)) }}
{%- endmacro %}

{% macro default__lake_history(table) -%}
    (
        select
            *,
            cast(null as {{ muyun.instant_type() }}) as superseded_at,
            false as is_deleted
        from {{ ref('stg_lake__' ~ table) }}
        where 1 = 0
    )
{%- endmacro %}

{# The platform keeps a file without rows in every history, so the table is always there. #}
{% macro spark__lake_history(table) -%}
    {%- if execute -%}
        {%- set folder = env_var('MUYUN_LAKE', 'lake') ~ '/history/' ~ table -%}
        {%- do muyun.spark__lake_table('lake_history.' ~ table, folder) -%}
    {%- endif -%}
    lake_history.{{ table }}
{%- endmacro %}

{% macro duckdb__lake_history(table) -%}
    {%- set files = env_var('MUYUN_LAKE', 'lake') ~ '/history/' ~ table ~ '/**/*.parquet' -%}
    {%- set found = run_query("select count(*) from glob('" ~ files ~ "')").columns[0].values()[0] if execute else 0 -%}
    {%- if found -%}
        read_parquet('{{ files }}', hive_partitioning=false, union_by_name=true)
    {%- else -%}
        {{ muyun.default__lake_history(table) }}
    {%- endif -%}
{%- endmacro %}


{# A table by schema and name only, for views that are read from the published file: that is a copy of the build under
   another name, in which the build's own name means nothing. #}
{% macro in_this_file(relation) -%}
    {{ return(relation.include(database=false)) }}
{%- endmacro %}
