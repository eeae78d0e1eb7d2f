"""A scene (which things are where) and a claim (what a caption states about it), with the caption's grammar."""

from dataclasses import dataclass

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

    `group` is the index of the noun phrase that names it, -1 for none.
    """

    name: str
    colour: str
    box: Box
    group: int
    flip: bool = False
    word: str = ""
    word_box: Box | None = None


@dataclass(frozen=True)
class Scene:
    """Everything needed to draw an image. Items are drawn in order, later ones in front."""

    background: str
    variant: int
    items: tuple[Item, ...]

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
        words = [phrase.text() for phrase in self.phrases]
        if self.relation:
            words[:2] = [f"{words[0]} {self.relation} {words[1]}"]
        if self.only:
            words.append("nothing else")
        caption = ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]
        return f"{caption} {BACKGROUNDS[self.background]}" if self.background else caption
