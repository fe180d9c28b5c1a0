{#- How a text is read for consent. -#}

{#- The whole message in upper case without punctuation, symbols and outer space, ready to be compared to a keyword
    ("Stop!! 🛑" → STOP, "opt-out" → OPTOUT). Letters of other scripts stay, so that they never leave a keyword behind. -#}
{% macro folded_text(body) -%}
upper(btrim(regexp_replace(
            regexp_replace(
                {{ body }},
                '[\u0001-\u0008\u000e-\u001f!-/:-@\[-`{-~\u007f-\u009f\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u200b-\u200f\u2010-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u206f\u2190-\u2bff\u3001-\u303f\ufe00-\ufe0f\ufeff\U0001F000-\U0001FAFF]',
                '',
                'g'
            ),
            '[\s\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+',
            ' ',
            'g'
        )))
{%- endmacro %}

{#- Free text that sounds like a wish to stop. It asks a person to look and decides nothing, so it may err on the side
    of asking; "I'll stop by at noon" should still pass. The first pattern only saves time: most texts hold none of its
    words. (One long alternation of all patterns takes twice the time.) -#}
{% macro sounds_like_stop(body) -%}
{%- set patterns = [
    "\\m(stop|quit|cease)\\M[^.?!]*\\m(text|texts|texting|messag\\w*|sms|send|sending|contacting|calling|spam\\w*|these|this)\\M",
    "\\m(please|pls|plz|just)\\M[ ,]*\\mstop\\M(?! *(by|at|in|over|and))",
    "\\mstop\\M[ ,]*\\m(please|pls|plz|now|already|it|bothering|harassing)\\M",
    "^[^a-z]*s[ ._*-]*t[ ._*-]*o[ ._*-]*p[^a-z]*$",
    "\\munsub",
    "\\mopt(ed|ing)?[ -]?(me )?out\\M",
    "\\m(remove|delete) (me|my (number|name|phone))\\M",
    "\\m(take|taking|drop) (me|my (number|name|phone)) off\\M",
    "\\mlose (my|this) number\\M",
    "\\m(do not|don.?t|dont|never|no longer|not) (ever |please |to |be )*(text|texting|messag\\w*|sms|contact|contacting|call|calling)( me\\M| us\\M| this (number|phone)\\M| again\\M| any ?more\\M|[ .!?]*$)",
    "\\m(do not|don.?t|dont|no longer) (want|wish|need|care)\\M[^.?!]*\\m(text|texts|messages|updates|offers|ads)\\M",
    "\\mno more (of )?(\\w+ )?(texts|messages|sms|these)\\M",
    "\\mleave me alone\\M",
    "\\m(cancel|end) (my |the |this |these )?(subscription|texts|messages|alerts)\\M",
    "\\mno me (mand|env|escrib)",
    "\\mdejen? de\\M"
] -%}
case
            when {{ body }} ~* 's[ ._*-]*t[ ._*-]*o[ ._*-]*p|quit|cease|unsub|opt|remove|delete|off|lose|no more|leave me|cancel|end|do not|don.?t|never|no longer|not |no me|deje'
                then
                    {% for pattern in patterns -%}
                    {{ 'or ' if not loop.first }}{{ body }} ~* '{{ pattern }}'
                    {% endfor %}
            else false
        end
{%- endmacro %}
