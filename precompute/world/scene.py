"""A scene (which things are where) and a claim (what a caption states about it), with the caption's grammar."""

from dataclasses import dataclass
from typing import NamedTuple

from precompute.world.styles import PLAIN, Style
from precompute.world.things import Look
from precompute.world.vocabulary import BACKGROUNDS, BY_NAME, COUNT_WORDS

SIZE = 224
"""Width and height of a scene in pixels."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the scene; `x2` and `y2` are exclusive."""

    x1: int
    y1: int
    x2: int
    y2: int

    def as_list(self) -> list[int]:
        """The four numbers, for JSON."""
        return [self.x1, self.y1, self.x2, self.y2]


@dataclass(frozen=True)
class Item:
    """One thing in a scene: a pictogram (`word` empty) or a board with a word.

    `group` is the index of the noun phrase that names it, -1 for none. A person has a `look` and no colour.
    """

    name: str
    colour: str
    box: Box
    group: int
    flip: bool = False
    word: str = ""
    word_box: Box | None = None
    look: Look | None = None


@dataclass(frozen=True)
class Scene:
    """Everything needed to draw an image. Items are drawn in order, later ones in front.

    `background` is the place that is shown, "" for none; `variant` chooses among the backgrounds of the style's family.
    """

    background: str
    variant: int
    items: tuple[Item, ...]
    style: Style = PLAIN

    def boxes(self, group: int) -> list[Box]:
        """The boxes of the items of a group."""
        return [item.box for item in self.items if item.group == group]


@dataclass(frozen=True)
class Phrase:
    """A noun phrase: `count` things of a `colour` (None: not named), or a board with a `word`."""

    name: str
    count: int = 1
    colour: str | None = None
    word: str = ""

    def text(self) -> str:
        """The words of the phrase, with its article or number."""
        if self.word:
            return f'a {self.name} that says "{self.word}"'
        thing = BY_NAME[self.name]
        noun = " ".join(filter(None, (self.colour, thing.name if self.count == 1 else thing.plural)))
        if self.count > 1:
            return f"{COUNT_WORDS[self.count]} {noun}"
        return ("an " if noun[0] in "aeiou" else "a ") + noun


@dataclass(frozen=True)
class Claim:
    """What a caption states.

    Attributes:
        phrases: of the things named.
        relation: between the first and the second of them; "" for none.
        background: the place; "" where it is not named.
        only: there is nothing else.
    """

    phrases: tuple[Phrase, ...]
    relation: str = ""
    background: str = ""
    only: bool = False

    def text(self) -> str:
        """The caption."""
        return "".join(words for words, _ in self._pieces())

    def spans(self) -> "Spans":
        """Where in the caption its parts stand."""
        found: dict[str, list[tuple[int, int]]] = {"phrase": [], "relation": [], "only": [], "place": [], "": []}
        start = 0
        for words, part in self._pieces():
            found[part].append((start, start + len(words)))
            start += len(words)
        first = lambda part: found[part][0] if found[part] else None
        return Spans(tuple(found["phrase"]), first("relation"), first("only"), first("place"))

    def _pieces(self) -> list[tuple[str, str]]:
        """The caption in pieces, each with the part that it is, "" for what stands between."""
        pieces: list[tuple[str, str]] = []
        last = len(self.phrases) - (not self.only)
        for index, phrase in enumerate(self.phrases):
            if index == 1 and self.relation:
                pieces += [(" ", ""), (self.relation, "relation"), (" ", "")]
            elif index:
                pieces.append((" and " if index == last else ", ", ""))
            pieces.append((phrase.text(), "phrase"))
        if self.only:
            pieces += [(" and ", ""), ("nothing else", "only")]
        if self.background:
            pieces += [(" ", ""), (BACKGROUNDS[self.background], "place")]
        return pieces


class Spans(NamedTuple):
    """Characters [start, end) of a caption: its noun phrases in order, the relation, "nothing else" and the place."""

    phrases: tuple[tuple[int, int], ...]
    relation: tuple[int, int] | None
    only: tuple[int, int] | None
    place: tuple[int, int] | None
