{# The lake's files as relations. DuckDB reads them in place (`external_location` of the sources); on Spark they are
   tables of the catalogue over the same folders, and nothing is copied. #}

{% macro lake_tables() -%}
    {{ return(adapter.dispatch('lake_tables', 'muyun')()) }}
{%- endmacro %}

{% macro default__lake_tables() -%}{%- endmacro %}

{% macro spark__lake_tables() -%}
    {%- if execute -%}
        {%- set lake = env_var('MUYUN_LAKE', 'lake') -%}
        {%- for schema in ('lake', 'lake_history') -%}
            {%- do run_query('create schema if not exists ' ~ schema) -%}
        {%- endfor -%}
        {%- for source in graph.sources.values() -%}
            {%- do muyun.spark__lake_table('lake.' ~ source.name, lake ~ '/accepted/' ~ source.name) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{# Made anew in every run: files come and go between runs, and a table over a folder remembers its files. A file of an
   older contract lacks columns; merging the schemas makes them null. #}
{% macro spark__lake_table(name, folder) -%}
    {%- do run_query('drop table if exists ' ~ name) -%}
    {%- do run_query(
        "create table " ~ name ~ " using parquet options (path '" ~ folder ~ "', mergeSchema 'true',"
        ~ " recursiveFileLookup 'true')"
    ) -%}
{%- endmacro %}
