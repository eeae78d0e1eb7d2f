"""The words that the chunker knows. They are closed classes of English and what prompts often name; a word that is in
none of them is taken for a noun.
"""

__all__ = [
    "ATTRIBUTES",
    "COLLECTIVES",
    "CONJUNCTIONS",
    "DETERMINERS",
    "FILLERS",
    "FRAMES",
    "MODES",
    "NEGATIONS",
    "NOT_VERBS",
    "NUMBERS",
    "PARTICIPLES",
    "PLACES",
    "PREPOSITIONS",
    "PRONOUNS",
    "RELATIONS",
    "SAYING",
    "SIMPLE_VERBS",
    "word_set",
]


def word_set(text: str) -> frozenset[str]:
    """The words of a text, in no order."""
    return frozenset(text.split())


DETERMINERS = word_set(
    "a an the this that these those some any another each every several many few both all its his her their our my your"
)
NUMBERS: dict[str, int] = dict(
    zip(
        (
            *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
            *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
        ),
        range(1, 21),
    )
)
CONJUNCTIONS = word_set("and or but while plus nor then also")
PRONOUNS = word_set("it he she they you we i them him itself who which there where what whose other others")
MODES = word_set("is are was were be been being has have had can could will would may should do does")
FILLERS = word_set("together very just only so too not really quite with by for as like from to made having")
"""Words without a picture of their own; they end a phrase and belong to none."""
NEGATIONS = word_set("no without nothing never none")
"""What follows is not in the image, so it must not become an object: the phrase is of the kind `other`."""
FRAMES = tuple(
    f"{article} {word} of".split()
    for article in ("a", "an", "the")
    for word in ("photo", "picture", "image", "photograph", "drawing", "painting", "illustration", "rendering", "shot")
) + tuple([word, "of"] for word in ("photo", "picture", "image", "photograph", "drawing", "illustration"))

_ONE_WORD_RELATIONS = word_set(
    "above below on onto beside near under underneath beneath behind inside outside in into within around over between "
    "among against at through across along towards toward past off up down upon amid during opposite alongside"
)
RELATIONS: tuple[tuple[str, ...], ...] = tuple(
    sorted(
        (
            *(("to", "the", "left", "of"), ("to", "the", "right", "of"), ("left", "of"), ("right", "of")),
            *(("on", "the", side, *more, "of") for side in ("left", "right") for more in ((), ("side",))),
            *(("in", "the", middle, "of") for middle in ("middle", "center", "centre")),
            *(("at", "the", end, "of") for end in ("top", "bottom")),
            *(("on", "top", "of"), ("in", "front", "of"), ("next", "to"), ("close", "to"), ("surrounded", "by")),
            *(("inside", "of"), ("outside", "of"), ("out", "of")),
            *((word,) for word in sorted(_ONE_WORD_RELATIONS)),
        ),
        key=len,
        reverse=True,
    )
)
"""The longest first, as they are looked for."""
PREPOSITIONS = frozenset(words[0] for words in RELATIONS) | word_set("with by of as from during without to")

PLACES = word_set(
    "beach meadow snow desert night city forest room park kitchen street road sky sea ocean lake river field garden "
    "mountain mountains hill valley jungle woods town village house home office classroom school library cafe "
    "restaurant bar shop store market museum bedroom bathroom hallway studio stadium court pool harbor harbour station "
    "airport subway highway space mars moon earth water grass sand background foreground morning evening afternoon "
    "dusk dawn sunset sunrise winter summer spring autumn fall rain storm fog sunlight daylight dark darkness distance "
    "world top bottom middle left right side corner center centre farm barn yard countryside savanna savannah island "
    "castle church hospital factory warehouse cave landscape countertop outdoors indoors"
)
"""Heads of phrases that name a place or a time after "in", "on", "at", "inside" or "during"."""

ATTRIBUTES = word_set(
    # colours
    "red orange yellow green blue purple pink brown black white gray grey violet turquoise teal cyan magenta "
    "beige navy maroon crimson scarlet golden gold silver bronze cream tan khaki lavender indigo olive rainbow "
    "colorful colourful colored coloured dark light bright pale pastel blonde ginger transparent "
    # materials and textures
    "wooden metal metallic plastic leather rubber fabric fluffy glass paper stone brick concrete ceramic "
    "porcelain woolen woollen cotton silk velvet denim steel iron copper marble clay cardboard wicker knitted "
    "furry hairy smooth rough soft hard shiny matte rusty glossy striped spotted dotted checkered plaid patterned "
    "floral "
    # shapes and sizes
    "round square rectangular triangular circular oval cubic cubed spherical conical cylindrical pentagonal "
    "hexagonal big large huge giant gigantic enormous tall long wide small little tiny miniature short thin thick "
    "narrow fat slim flat curved curly straight pointed sharp low high "
    # states
    "old new young ancient modern antique vintage rustic futuristic traditional wet dry hot cold frozen broken "
    "empty full open closed clean dirty fresh ripe rotten burnt cooked raw sliced happy sad angry smiling sleepy "
    "beautiful pretty cute ugly elegant fancy simple plain dead alive busy crowded quiet lonely sunny cloudy "
    "rainy snowy foggy stormy electric mechanical invisible magical medieval victorian gothic abstract realistic"
)
NOT_VERBS = word_set(
    "ceiling building painting king ring wing string swing spring evening morning wedding thing clothing sibling "
    "lightning lighting earring railing drawing duckling sling crossing parking dressing icing pudding feeling "
    "being bed shed sled seed weed reed red steed wood seaweed"
)
"""Nouns and adjectives that end as participles do."""
PARTICIPLES = word_set("made written drawn worn seen held built cut hung thrown spelled spelt lit shaped")
SIMPLE_VERBS = word_set(
    "sits stands lies runs walks flies rides holds eats wears plays looks jumps sleeps swims floats hangs reads drinks "
    "carries drives catches chases watches sit stand lie fly ride hold eat wear read carry wearing"
)
"""Verbs in the present tense: without a tagger, only the frequent ones are told from plural nouns."""
SAYING = word_set(
    "that which says saying say reads reading read with the a word words text letters message title titled labelled "
    "labeled named called written spelling spelled spells showing"
)
"""The words that may stand between a thing and what is written on it."""
COLLECTIVES = word_set("pair group stack bunch set pile row couple dozen herd flock pack crowd collection number lot")
"""Of "a stack of plates" the plates are the objects."""
