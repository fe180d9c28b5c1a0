"""The picture of what is held: one HTML page that needs no network, drawn from the marts and from what is known of
their completeness. No phone of a contact, no name of a person and no text of a message stands in it.

`figures` says what is shown, `reading` asks the warehouse for it, `charts` draws SVG, `sections` and `page` write HTML.
It knows neither Dagster nor Volt.
"""
