{#- Schemas are named exactly as configured (volt_staging, volt_marts, volt_exports), without the target's prefix:
    the warehouse belongs to one pipeline, and analysts and the push read these names. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
