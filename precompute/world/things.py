"""The things of the small world: their names, pictograms and families, and which of them look alike."""

import itertools
from dataclasses import dataclass

PERSON = "person"
"""The family of the people: they are named by profession alone and never recoloured."""


@dataclass(frozen=True)
class Thing:
    """An object of the world.

    `code` is its OpenMoji code point, `kind` the family of objects for which it is mistaken at a medium distance. A
    person's code has a `*` where gender and skin tone go; see `code_of`.
    """

    name: str
    plural: str
    code: str
    kind: str


@dataclass(frozen=True)
class Look:
    """What a person looks like, which no caption says: gender, and skin tone from 1 (light) to 5 (dark)."""

    gender: str
    tone: int


def _things(kind: str, entries: str) -> list[Thing]:
    things = []
    for entry in entries.split(","):
        name, code, *plural = entry.split()
        things.append(Thing(name, plural[0] if plural else name + "s", code, kind))
    return things


THINGS: tuple[Thing, ...] = tuple(
    _things(
        "animal",
        "dog 1F415,cat 1F408,horse 1F40E,cow 1F404,pig 1F416,sheep 1F411 sheep,rabbit 1F407,mouse 1F401 mice,"
        "elephant 1F418,bird 1F426,duck 1F986,owl 1F989,fish 1F41F fish,whale 1F40B,dolphin 1F42C,shark 1F988,"
        "turtle 1F422,snail 1F40C,butterfly 1F98B butterflies,crab 1F980,frog 1F438,penguin 1F427,giraffe 1F992,"
        "camel 1F42A,kangaroo 1F998,octopus 1F419 octopuses,crocodile 1F40A,swan 1F9A2,flamingo 1F9A9,"
        "squirrel 1F43F,hedgehog 1F994,snake 1F40D,goat 1F410,lobster 1F99E,dinosaur 1F995,bee 1F41D",
    )
    + _things(
        "vehicle",
        "car 1F697,bus 1F68C buses,truck 1F69A,bicycle 1F6B2,motorcycle 1F3CD,helicopter 1F681,rocket 1F680,"
        "sailboat 26F5,ship 1F6A2,train 1F682,tractor 1F69C,airplane 2708,van 1F690",
    )
    + _things(
        "food",
        "apple 1F34E,pear 1F350,banana 1F34C,lemon 1F34B,strawberry 1F353 strawberries,grape 1F347,pineapple 1F34D,"
        "carrot 1F955,mushroom 1F344,cake 1F382,peach 1F351 peaches,pizza 1F355,donut 1F369,egg 1F95A,"
        "tomato 1F345 tomatoes,eggplant 1F346,avocado 1F951",
    )
    + _things(
        "thing",
        "house 1F3E0,tree 1F333,cactus 1F335,umbrella 2602,hat 1F3A9,shoe 1F45E,shirt 1F455,key 1F511,clock 23F0,"
        "bell 1F514,chair 1FA91,book 1F4D5,cup 2615,guitar 1F3B8,violin 1F3BB,drum 1F941,ball 26BD,balloon 1F388,"
        "kite 1FA81,hammer 1F528,axe 1FA93,bucket 1FAA3,camera 1F4F7,crown 1F451,gift 1F381,star 2B50,robot 1F916,"
        "vase 1F3FA,door 1F6AA,pencil 270F,trumpet 1F3BA,boot 1F462,dress 1F457 dresses,sock 1F9E6,backpack 1F392,"
        "teapot 1FAD6,trophy 1F3C6 trophies,lock 1F512,flag 1F6A9,tent 26FA,castle 1F3F0,heart 2764,sofa 1F6CB,"
        "telephone 260E,anchor 2693",
    )
    + _things(
        PERSON,
        "farmer *-200D-1F33E,cook *-200D-1F373,student *-200D-1F393,singer *-200D-1F3A4,artist *-200D-1F3A8,"
        "teacher *-200D-1F3EB,mechanic *-200D-1F527,scientist *-200D-1F52C,astronaut *-200D-1F680,"
        "firefighter *-200D-1F692,doctor *-200D-2695-FE0F,judge *-200D-2696-FE0F,pilot *-200D-2708-FE0F,"
        "guard 1F482-*,detective 1F575-*,builder 1F477-*",
    )
)
BY_NAME: dict[str, Thing] = {thing.name: thing for thing in THINGS}
LOOKS: tuple[Look, ...] = tuple(
    Look(gender, tone) for gender, tone in itertools.product(("woman", "man", "person"), range(1, 6))
)
"""All looks of a person, equally likely in every scene, in which nothing else depends on them."""

LOOK_ALIKES = (
    ("dog", "cat"),
    ("horse", "cow"),
    ("pig", "sheep"),
    ("rabbit", "mouse"),
    ("bird", "duck"),
    ("whale", "dolphin"),
    ("dolphin", "shark"),
    ("fish", "whale"),
    ("turtle", "snail"),
    ("giraffe", "camel"),
    ("squirrel", "kangaroo"),
    ("swan", "duck"),
    ("swan", "flamingo"),
    ("goat", "dog"),
    ("lobster", "crab"),
    ("hedgehog", "mouse"),
    ("crocodile", "dinosaur"),
    ("bee", "butterfly"),
    ("car", "bus"),
    ("bus", "truck"),
    ("van", "car"),
    ("van", "bus"),
    ("bicycle", "motorcycle"),
    ("sailboat", "ship"),
    ("train", "tractor"),
    ("apple", "pear"),
    ("apple", "peach"),
    ("apple", "tomato"),
    ("pear", "lemon"),
    ("pear", "avocado"),
    ("egg", "lemon"),
    ("strawberry", "grape"),
    ("tree", "cactus"),
    ("tree", "mushroom"),
    ("hat", "crown"),
    ("cup", "bucket"),
    ("cup", "teapot"),
    ("vase", "trophy"),
    ("guitar", "violin"),
    ("ball", "balloon"),
    ("ball", "donut"),
    ("hammer", "axe"),
    ("key", "pencil"),
    ("clock", "camera"),
    ("book", "gift"),
    ("book", "door"),
    ("house", "gift"),
    ("house", "castle"),
    ("boot", "sock"),
    ("boot", "shoe"),
    ("shirt", "dress"),
    ("lock", "backpack"),
    ("kite", "flag"),
    ("chair", "sofa"),
    ("doctor", "scientist"),
    ("pilot", "guard"),
    ("builder", "mechanic"),
    ("builder", "firefighter"),
    ("judge", "student"),
    ("artist", "detective"),
    ("farmer", "detective"),
    ("singer", "doctor"),
)
_TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
_WORKERS = {"woman": "1F469", "man": "1F468", "person": "1F9D1"}
_SIGNS = {"woman": "-200D-2640-FE0F", "man": "-200D-2642-FE0F", "person": ""}


def is_person(name: str) -> bool:
    """Whether a name is that of a person (no colour); signs and screens are none."""
    return name in BY_NAME and BY_NAME[name].kind == PERSON


def look_alike(a: str, b: str) -> bool:
    """Whether the pictograms of two objects look alike."""
    return (a, b) in LOOK_ALIKES or (b, a) in LOOK_ALIKES


def code_of(name: str, look: Look | None) -> str:
    """The OpenMoji code of a thing, or of a person of that look: "1F469-1F3FD-200D-1F373", a woman who cooks.

    Professions are a woman, a man or a person with the profession's sign; three older ones have the gender behind.
    """
    code = BY_NAME[name].code
    if look is None:
        return code
    tone = _TONES[look.tone - 1]
    if code.startswith("*"):
        return code.replace("*", f"{_WORKERS[look.gender]}-{tone}")
    return code.replace("*", tone) + _SIGNS[look.gender]
