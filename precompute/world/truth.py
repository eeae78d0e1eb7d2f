"""The exact truth about a pair, as it stands in `pairs.jsonl`: which words fail, and all that is in each image."""

from collections.abc import Sequence

from precompute.world.scene import Box, Claim, Item, Scene
from precompute.world.square import Square

__all__ = ["failing_phrases", "objects"]


def failing_phrases(square: Square, chosen: int) -> list[list[int]]:
    """The characters [start, end) of the prompt of scene `chosen` that the other scene of its square breaks.

    A wrong relation is the relation's words, an extra thing is "nothing else", anything else is the noun phrase.
    """
    spans = square.claims[chosen].spans()
    if square.category == "spatial":
        found = [spans.relation]
    elif square.absent[1] and chosen == 1:
        found = [spans.only]
    else:
        found = [spans.phrases[index] for index in square.concerns]
    return [list(span) for span in found if span is not None]


def objects(scene: Scene, claim: Claim, *, wrong: Sequence[Box]) -> list[dict]:
    """Every thing of a scene, for `objects` in `pairs.jsonl`.

    Args:
        scene: of the chosen or the rejected image.
        claim: of the pair's prompt.
        wrong: the boxes of what is wrong in the image; none in a chosen one.

    Returns:
        For each thing its name, attributes, box, the characters of the phrase that names it (None where no phrase has
        its name), and whether it is wrong; the word of a sign or a screen, gender and skin tone of a person.
    """
    spans = claim.spans()
    return [_entry(item, _span_of(item, claim, spans.phrases), wrong=wrong) for item in scene.items]


def _span_of(item: Item, claim: Claim, spans: tuple[tuple[int, int], ...]) -> tuple[int, int] | None:
    """The phrase with the thing's name: of two that with its colour too, or else the one that it was laid out for."""
    named = [index for index, phrase in enumerate(claim.phrases) if phrase.name == item.name]
    if not named:
        return None
    fitting = [i for i in named if claim.phrases[i].colour in (None, item.colour)] if len(named) > 1 else []
    return spans[(fitting or [i for i in named if i == item.group] or named)[0]]


def _entry(item: Item, span: tuple[int, int] | None, *, wrong: Sequence[Box]) -> dict:
    entry: dict = {
        "name": item.name,
        "attributes": [item.colour] if item.colour else [],
        "bbox": item.box.as_list(),
        "phrase": list(span) if span else None,
        "wrong": item.box in wrong or (item.word_box is not None and item.word_box in wrong),
    }
    if item.word:
        entry["word"] = item.word
    if item.look:
        entry |= {"gender": item.look.gender, "tone": item.look.tone}
    return entry
