{# Engine-specific handling of instants (UTC timestamps) and local dates. Everything else in the models is portable. #}

{# The type of a UTC timestamp. #}
{% macro instant_type() -%}
    {{ return(adapter.dispatch('instant_type', 'muyun')()) }}
{%- endmacro %}

{% macro default__instant_type() -%}timestamp{%- endmacro %}

{% macro duckdb__instant_type() -%}timestamptz{%- endmacro %}


{# The moment the warehouse is built for: MUYUN_AS_OF (ISO 8601, UTC). No model asks the system clock. #}
{% macro as_of() -%}
    {%- set moment = env_var('MUYUN_AS_OF', '') -%}
    {%- if execute and not moment -%}
        {{ exceptions.raise_compiler_error("MUYUN_AS_OF is not set: give the build an ISO 8601 UTC time, for example 2017-12-31T23:59:59+00:00") }}
    {%- endif -%}
    cast('{{ moment or "1970-01-01T00:00:00+00:00" }}' as {{ muyun.instant_type() }})
{%- endmacro %}


{# The shops' time zone by its IANA name. #}
{% macro time_zone() -%}
    {{ return(env_var('MUYUN_TIME_ZONE', 'Etc/GMT+5')) }}
{%- endmacro %}


{# Minutes from UTC to local time where the zone has one offset (whoever starts dbt tells), else none. #}
{% macro fixed_offset_minutes() -%}
    {%- set minutes = env_var('MUYUN_FIXED_OFFSET_MINUTES', '') -%}
    {{ return((minutes | int) if minutes else none) }}
{%- endmacro %}


{# The local calendar date of an instant. #}
{% macro local_date(instant) -%}
    {{ return(adapter.dispatch('local_date', 'muyun')(instant)) }}
{%- endmacro %}

{% macro default__local_date(instant) -%}
    cast(from_utc_timestamp({{ instant }}, '{{ muyun.time_zone() }}') as date)
{%- endmacro %}

{# Where the offset is fixed, integer arithmetic: eight times faster than time zone functions over the 20.9 M promotion
   rows. #}
{% macro duckdb__local_date(instant) -%}
    {%- set minutes = muyun.fixed_offset_minutes() -%}
    {%- if minutes is none -%}
        cast(timezone('{{ muyun.time_zone() }}', {{ instant }}) as date)
    {%- else -%}
        (date '1970-01-01' + cast((epoch_us({{ instant }}) + {{ minutes * 60000000 }}) // 86400000000 as integer))
    {%- endif -%}
{%- endmacro %}


{# The local date of the build moment. #}
{% macro as_of_date() -%}
    {{ muyun.local_date(muyun.as_of()) }}
{%- endmacro %}


{# The Monday of a date's week. #}
{% macro week_start(date_expression) -%}
    cast({{ dbt.date_trunc('week', date_expression) }} as date)
{%- endmacro %}


{# A date some whole days later (earlier when negative). #}
{% macro add_days(date_expression, days) -%}
    cast({{ dbt.dateadd('day', days, date_expression) }} as date)
{%- endmacro %}


{# Whole days from one date to a later one. #}
{% macro days_between(from_date, to_date) -%}
    cast({{ dbt.datediff(from_date, to_date, 'day') }} as bigint)
{%- endmacro %}


{# Days between two instants, with fractions. #}
{% macro elapsed_days(from_instant, to_instant) -%}
    {{ return(adapter.dispatch('elapsed_days', 'muyun')(from_instant, to_instant)) }}
{%- endmacro %}

{% macro default__elapsed_days(from_instant, to_instant) -%}
    (cast(unix_micros({{ to_instant }}) - unix_micros({{ from_instant }}) as double) / 86400000000)
{%- endmacro %}

{% macro duckdb__elapsed_days(from_instant, to_instant) -%}
    (cast(epoch_us({{ to_instant }}) - epoch_us({{ from_instant }}) as double) / 86400000000)
{%- endmacro %}


{# Seconds added to an instant. #}
{% macro add_seconds(instant, seconds) -%}
    {{ return(adapter.dispatch('add_seconds', 'muyun')(instant, seconds)) }}
{%- endmacro %}

{% macro default__add_seconds(instant, seconds) -%}
    {{ dbt.dateadd('second', seconds, instant) }}
{%- endmacro %}

{# Calendar-free interval arithmetic stays on the fast path for 20.9 M rows. #}
{% macro duckdb__add_seconds(instant, seconds) -%}
    make_timestamptz(epoch_us({{ instant }}) + {{ seconds }} * 1000000)
{%- endmacro %}


{# The first day of the calendar month (UTC) of an instant: the months of statements, the same in every shop. #}
{% macro utc_month(instant) -%}
    {{ return(adapter.dispatch('utc_month', 'muyun')(instant)) }}
{%- endmacro %}

{% macro default__utc_month(instant) -%}
    cast({{ dbt.date_trunc('month', instant) }} as date)
{%- endmacro %}

{% macro duckdb__utc_month(instant) -%}
    cast(date_trunc('month', {{ instant }} at time zone 'UTC') as date)
{%- endmacro %}
