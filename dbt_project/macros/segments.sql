{#- How carriers count a text. The GSM-7 alphabet holds 127 characters and, at the price of two, ten more; one
    character outside of it (an emoji, a curly quote) turns the whole text into UTF-16. -#}

{#- The characters of GSM-7 and its extension, as they stand in a bracket expression of an E'' string. -#}
{% macro gsm7_characters() -%}
@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà^{}\\\\\\[~\\]|€\f-
{%- endmacro %}

{#- What forces UTF-16: the characters that GSM-7 does not hold. -#}
{% macro non_gsm_characters(body) -%}
regexp_replace({{ body }}, E'[{{ gsm7_characters() }}]', '', 'g')
{%- endmacro %}

{#- sms_gsm7, sms_utf16 or mms. -#}
{% macro text_encoding(body, media_count) -%}
case
            when {{ media_count }} > 0 then 'mms'
            when {{ body }} ~ E'[^{{ gsm7_characters() }}]' then 'sms_utf16'
            else 'sms_gsm7'
        end
{%- endmacro %}

{#- Length in the units of the encoding. What `translate` takes away is counted by the difference in length. -#}
{% macro text_units(body, encoding) -%}
case {{ encoding }}
            when 'sms_gsm7' then
                case
                    when {{ body }} ~ E'[\\^{}\\\\[~\\]|€\f]'
                        then 2 * char_length({{ body }}) - char_length(translate({{ body }}, E'^{}\\[~]|€\f', ''))
                    else char_length({{ body }})
                end
            when 'sms_utf16' then
                2 * char_length({{ body }})
                - char_length(regexp_replace({{ body }}, '[\U00010000-\U0010FFFF]', '', 'g'))
        end
{%- endmacro %}

{#- A text with media is one MMS, however long; an empty text is still one message. -#}
{% macro segments(units, encoding) -%}
case
            when {{ encoding }} = 'mms' then 1
            when coalesce({{ units }}, 0) <= case {{ encoding }} when 'sms_gsm7' then 160 else 70 end then 1
            else ceil({{ units }} / case {{ encoding }} when 'sms_gsm7' then 153.0 else 67.0 end)::integer
        end
{%- endmacro %}
