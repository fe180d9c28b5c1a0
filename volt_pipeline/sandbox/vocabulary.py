"""The words of the invented world: stores, names, fields, lists, and what people text to a brick yard.

Data only. The texts carry what a warehouse must survive: emoji, several segments, quotes and line breaks, opt-outs in
keywords and in plain words, pictures without a word.
"""

from __future__ import annotations

# name, location, area codes, IANA time zone
STORES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("Tulsa Store", "Tulsa, Oklahoma", ("918", "539"), "America/Chicago"),
    ("Phoenix Store", "Phoenix, Arizona", ("602", "480", "623"), "America/Phoenix"),
    ("Denver Store", "Denver, Colorado", ("303", "720"), "America/Denver"),
    ("Charlotte Store", "Charlotte, North Carolina", ("704", "980"), "America/New_York"),
    ("Sacramento Store", "Sacramento, California", ("916", "279"), "America/Los_Angeles"),
    ("Omaha Store", "Omaha, Nebraska", ("402", "531"), "America/Chicago"),
    ("Boise Store", "Boise, Idaho", ("208", "986"), "America/Boise"),
    ("Pittsburgh Store", "Pittsburgh, Pennsylvania", ("412", "878"), "America/New_York"),
    ("Honolulu Store", "Honolulu, Hawaii", ("808",), "Pacific/Honolulu"),
    ("Anchorage Store", "Anchorage, Alaska", ("907",), "America/Anchorage"),
    ("Nashville Store", "Nashville, Tennessee", ("615", "629"), "America/Chicago"),
    ("Seattle Store", "Seattle, Washington", ("206", "564"), "America/Los_Angeles"),
)

FIRST_NAMES = [
    "Maria", "James", "Aisha", "Wyatt", "Linh", "Carlos", "Emma", "Noah", "Priya", "Darnell", "Sofia",
    "Hank", "Mei", "Tyler", "Rosa", "Owen", "Fatima", "Earl", "Chloe", "Luis", "Grace", "Ivan", "Naomi",
    "Pete", "Olivia", "Kofi", "Hannah", "Ray", "Zoë", "Marcus", "Elena", "Todd", "Yuki", "Gloria", "Sam",
    "Beatriz", "Cliff", "Anya", "José", "Dolores",
]  # fmt: skip
LAST_NAMES = [
    "Smith", "Johnson", "Garcia", "Nguyen", "Brown", "Martinez", "Davis", "O'Brien", "Patel", "Wilson",
    "Kim", "Thompson", "Hernández", "Clark", "Lewis", "Okafor", "Walker", "Young", "Schmidt", "King",
    "Wright", "Lopez", "Hill", "Green", "Baker", "Nelson", "Rivera", "Campbell", "Mitchell", "Carter",
    "Müller", "Ward", "Peterson", "Gray", "Ramirez", "Watson", "Brooks", "Kelly", "Sanders", "Price",
]  # fmt: skip

FIELD_TYPES = {
    "customer_type": "string",
    "preferred_material": "string",
    "project": "string",
    "purchases": "number",
    "lifetime_spend": "number",
    "last_purchase": "date",
    "loyalty_member": "boolean",
}
CUSTOMER_TYPES = ("contractor", "homeowner", "landscaper", "architect")
MATERIALS = ("red brick", "porcelain tile", "flagstone", "concrete pavers", "thin brick", "natural slate")
PROJECTS = ("Patio", "Kitchen backsplash", "Retaining wall", "Chimney repair", "Bathroom floor", 'Driveway, 12" border')

# A thread is a little dialogue: "<" the contact writes, ">" the store, "A" the store's automatic reply within seconds.
THREADS: tuple[tuple[str, ...], ...] = (
    (
        "<Do you have {material} in stock?",
        ">Hi {first}, yes we do! About 6 pallets on the yard.",
        "<Great, I'll come by",
    ),
    ("<What time do you close today?", ">We're open until 5:30 pm. See you soon!"),
    ("<Is my order ready for pickup", ">Let me check with the yard, one moment.", ">It is! Dock 3.", "<thx 👍"),
    (
        ">Hi {first}, your quote for {material} is ready: $1,248.60 incl. delivery. Shall we book it?",
        "<YES",
        ">Booked for Thursday morning. The driver will call when he is 30 minutes out.",
        "<Perfect, thank you!",
    ),
    (
        "<Can you match this color?",
        "<PICTURE",
        ">That looks like our Old Savannah blend. Want a sample?",
        "<yes please",
    ),
    ("<How many bricks for a 10x12 patio?", ">About 540 with a 3/8\" joint. I'd order 570 to be safe."),
    (
        "<Hi, are you open on Saturday",
        "AThanks for texting Acme Brick & Tile! We're closed now and will answer at 8 am.",
        ">Good morning {first}! Yes, 8 to noon on Saturdays.",
    ),
    (">Hi {first}, this is the store. Your special order arrived 🎉", "<Awesome!! 😍🧱 be there after work"),
    (
        "<The delivery is short by 20 bricks",
        ">So sorry about that. We'll drop the rest off today.",
        "<ok",
        "<thanks",
        ">All delivered. Anything else?",
        "<Nope all good",
    ),
    ("<PICTURE", ">That crack is only in the mortar. A tube of repair mix will do.", "<phew"),
    (
        "<Hello, I am planning to redo our back yard this spring: about 800 square feet of {material}, a small "
        "retaining wall and maybe a fire pit. Could somebody tell me what that would cost roughly, whether you deliver "
        "to the west side, and how long the lead time is at the moment? We would like to start before May.",
        ">Hi {first}! Happy to help. Rough figures: material $4,900, wall block $1,150, fire pit kit $640.\n"
        "Delivery to the west side is $95.\nLead time is about two weeks. Want a formal quote?",
        "<Yes, please email it",
        ">On its way ✉️",
    ),
    ("<¿Tienen azulejos de porcelana?", ">¡Sí! Tenemos más de 40 modelos en la tienda.", "<gracias"),
    ("<Who do I ask for?", ">Ask for Dana at the counter."),
    (">Reminder: your delivery is tomorrow between 8 and 10 am.", "<ok"),
    ("<price per pallet on {material}?", ">$412 a pallet, $389 from five up.", "<I'll take 5", ">You got it {first}."),
    ("<HELP", "AAcme Brick & Tile: reply STOP to opt out. Msg & data rates may apply."),
    ("<I left my level at your counter lol", ">Found it 😄 it's in the office", "<lifesaver"),
    (
        ">Did everything work out with the {material}?",
        "<Looks amazing",
        "<PICTURE",
        ">Wow! Mind if we share that photo?",
        "<sure go ahead",
    ),
)

OPT_OUTS = ("STOP", "Stop", "stop.", "UNSUBSCRIBE", "Cancel", "STOPALL", "quit", "Opt out", "END")
PLAIN_WORDS_OUT = (
    "please take me off this list, I never signed up",
    "Wrong number, don't text me again",
    "Leave me alone!!",
)
OPT_IN = "START"
OPT_OUT_REPLY = "AYou have been unsubscribed and will receive no more messages. Reply START to resubscribe."
OPT_IN_REPLY = "AYou have been resubscribed."
WAVE_REPLIES = ("YES", "Yes!", "how much is it", "Is that for contractors too?", "👍", "Can you hold 2 pallets for me?")

# name, list, body, media
WAVES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "Memorial Day Brick Sale",
        "All",
        "Hi {contact.first_name}, we're having a great sale on bricks this weekend.",
        (),
    ),
    (
        "Loyalty Double Points",
        "Loyal Customers",
        "{contact.first_name}, double points on every pallet until Friday! 🧱",
        (),
    ),
    (
        "Contractor Breakfast",
        "Contractors",
        "Free breakfast at the yard on Tuesday, 6:30 am. Reply YES to save a seat.",
        (),
    ),
    (
        "Tile Clearance",
        "Spring Clinic Attendees",
        "Clearance on last season's tile: up to 60% off while it lasts. Come by this week, bring your measurements, "
        "and our people will work out what you need. Reply STOP to opt out.",
        ("https://media.acmebrick.example/flyers/clearance.png",),
    ),
)
ORGANIZATION_WAVE = (
    "Inventory Day",
    "All",
    "Hi {contact.first_name}, all Acme Brick & Tile stores are closed on Monday for inventory. Back Tuesday! 🧱",
)

# name, source, search term, rules (field, operator, JSON value). Dates in braces are filled in as the world is made.
LISTS: tuple[tuple[str, str | None, str | None, tuple[tuple[str, str, str], ...]], ...] = (
    ("Loyal Customers", "All", None, (("purchases", "gte", "5"), ("loyalty_member", "is", '"true"'))),
    ("Contractors", "All", "", (("customer_type", "is", '"contractor"'),)),
    ("Big Contractors", "Contractors", None, (("lifetime_spend", "gt", "5000"),)),
    ("Recent Buyers", "All", None, (("last_purchase", "af", '"{recent}"'),)),
    ("Win Back", "All", None, (("last_purchase", "bf", '"{lapsed}"'), ("purchases", "lt", "4"))),
    ("Tile People", "All", None, (("preferred_material", "has", '"tile"'),)),
    ("Not Brick", "All", None, (("preferred_material", "nc", '"brick"'), ("purchases", "neq", "0"))),
    ("First Timers", "All", None, (("purchases", "eq", "1"),)),
    ("Small Spenders", "Recent Buyers", None, (("lifetime_spend", "lte", "750.5"),)),
    ("The Smiths", "All", "smith", ()),
)
STATIC_LISTS = ("Spring Clinic Attendees", "Do Not Call Back")

SETTLED = ("delivered", "Message delivered to handset")
ACCEPTED = ("sent", "Message sent to carrier")
FAILURES = (
    "Carrier rejected message as spam",
    "Destination number is a landline",
    "Destination handset unreachable",
    "Unknown destination number",
    "Message blocked by carrier",
)
FAILED_OPTED_OUT = "Recipient has opted out"

INBOUND_TEXTS = tuple(line[1:] for thread in THREADS for line in thread if line[0] == "<")
OUTBOUND_TEXTS = tuple(line[1:] for thread in THREADS for line in thread if line[0] == ">")
PICTURE = "PICTURE"
