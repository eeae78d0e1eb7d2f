"""The small world: its objects, colours, backgrounds, words and relations, and which of them are easily confused."""

import functools
import hashlib

from precompute.world.things import BY_NAME, LOOK_ALIKES, THINGS, Thing, is_person, look_alike

__all__ = [
    "BACKGROUNDS",
    "BOARDS",
    "BY_NAME",
    "COLOURS",
    "COUNT_WORDS",
    "EXCLUDED_BY",
    "LOOK_ALIKES",
    "NEAR_COLOURS",
    "OPPOSITE",
    "RELATIONS",
    "THINGS",
    "WORDS",
    "Thing",
    "held_out_combinations",
    "is_person",
    "letters_apart",
    "look_alike",
    "near_colour",
    "words_of_the_world",
]

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 215, 60),
    "green": (60, 160, 70),
    "blue": (50, 100, 220),
    "purple": (135, 60, 180),
    "pink": (245, 140, 185),
    "brown": (125, 80, 45),
    "black": (45, 45, 50),
    "white": (240, 240, 240),
}
NEAR_COLOURS = (
    ("red", "orange"),
    ("red", "pink"),
    ("red", "brown"),
    ("orange", "yellow"),
    ("orange", "brown"),
    ("blue", "purple"),
    ("purple", "pink"),
)

BACKGROUNDS: dict[str, str] = {
    "beach": "on the beach",
    "meadow": "in a meadow",
    "snow": "in the snow",
    "desert": "in the desert",
    "night": "at night",
    "city": "in a city",
    "forest": "in a forest",
    "room": "in a room",
}
COUNT_WORDS = ("zero", "one", "two", "three", "four", "five", "six")
RELATIONS = ("left of", "right of", "above", "below", "on", "next to")
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
EXCLUDED_BY: dict[str, tuple[str, ...]] = {
    "left of": ("right of", "above", "below", "on"),
    "right of": ("left of", "above", "below", "on"),
    "above": ("below", "left of", "right of", "next to"),
    "below": ("above", "left of", "right of", "on", "next to"),
    "on": ("below", "left of", "right of", "next to"),
    "next to": ("above", "below", "on"),
}
"""For each relation those that cannot hold at the same time, so that a scene of one breaks a caption of the other."""

WORDS: tuple[str, ...] = tuple(
    [
        "cat",
        "bat",
        "hat",
        "can",
        "van",
        "pan",
        "sun",
        "bun",
        "run",
        "pen",
        "hen",
        "ten",
        "net",
        "jet",
        "pet",
        "cake",
        "lake",
        "rake",
        "ball",
        "wall",
        "hall",
        "boat",
        "coat",
        "goat",
        "ring",
        "king",
        "wing",
        "sand",
        "hand",
        "band",
        "open",
        "stop",
        "exit",
        "sale",
        "food",
        "taxi",
        "cafe",
        "hotel",
        "bank",
        "park",
        "shop",
        "milk",
        "soup",
        "tea",
    ]
)
BOARDS = ("sign", "screen")


def near_colour(a: str, b: str) -> bool:
    """Whether two colours are easily mistaken for each other."""
    return (a, b) in NEAR_COLOURS or (b, a) in NEAR_COLOURS


def letters_apart(a: str, b: str) -> int:
    """The number of differing letters of two words, a missing one counted as differing (no shifts)."""
    return sum(x != y for x, y in zip(a, b)) + abs(len(a) - len(b))


@functools.cache
def held_out_combinations() -> frozenset[tuple[str, str]]:
    """Combinations of object and colour for the test split alone: one in twelve, the same for all seeds.

    Neither training and validation scenes show them nor the scenes that the default encoder was trained on.
    """
    names = [(thing.name, colour) for thing in THINGS if not is_person(thing.name) for colour in COLOURS]
    return frozenset(pair for pair in names if hashlib.sha256("/".join(pair).encode()).digest()[0] % 12 == 0)


def words_of_the_world() -> list[str]:
    """Every word that a caption of the world can hold, sorted, with its two marks: what a tokenizer has to know."""
    words = {"a", "an", "and", "nothing", "else", "that", "says", ",", '"', *BOARDS, *COUNT_WORDS, *COLOURS, *WORDS}
    for text in (*RELATIONS, *BACKGROUNDS.values()):
        words.update(text.split())
    for thing in THINGS:
        words.update((thing.name, thing.plural))
    return sorted(words)
