{# The grades that apply to the supplier and the category of a relation, over time: one row a period, as `grades`.
   Who was never graded in the category by itself has those of the whole. #}
{% macro join_grades(relation) -%}
    left join (
        select distinct
            supplier_id,
            category_id
        from {{ muyun.in_this_file(ref('int_grades_applied')) }}
        where category_id is not null
    ) as channels
        on {{ relation }}.supplier_id = channels.supplier_id
        and {{ relation }}.category_id = channels.category_id
    inner join {{ muyun.in_this_file(ref('int_grades_applied')) }} as grades
        on {{ relation }}.supplier_id = grades.supplier_id
        and coalesce(channels.category_id, '') = coalesce(grades.category_id, '')
{%- endmacro %}
