"""The exact truth about a pair, as it stands in `pairs.jsonl`: which words fail, and all that is in each image."""

from collections.abc import Sequence

from precompute.world.scene import Box, Claim, Item, Scene
from precompute.world.square import Square

__all__ = ["failing_phrases", "objects"]


def failing_phrases(square: Square, chosen: int) -> list[list[int]]:
    """The characters [start, end) of the prompt of scene `chosen` that the other scene of its square breaks.

    A wrong relation is the relation's words, an extra thing is "nothing else", anything else is the noun phrase.
    """
    claim, other = square.claims[chosen], square.claims[1 - chosen]
    spans = claim.spans()
    if square.category == "spatial":
        found = [spans.relation]
    elif square.absent[0] or square.absent[1]:
        names = {phrase.name for phrase in other.phrases}
        gone = [span for phrase, span in zip(claim.phrases, spans.phrases) if phrase.name not in names]
        found = gone or [spans.only]
    else:
        pairs = zip(claim.phrases, other.phrases, spans.phrases, strict=True)
        found = [span for phrase, shown, span in pairs if phrase != shown]
    return [list(span) for span in found if span is not None]


def objects(scene: Scene, claim: Claim, *, wrong: Sequence[Box]) -> list[dict]:
    """Every thing of a scene, for `objects` in `pairs.jsonl`.

    Args:
        scene: of the chosen or the rejected image.
        claim: of the pair's prompt.
        wrong: the boxes of what is wrong in the image; none in a chosen one.

    Returns:
        For each thing its name, attributes, box, the characters of the phrase that names it (None where no phrase has
        its name), and whether it is wrong; of a sign or a screen also its word.
    """
    spans = dict(zip((phrase.name for phrase in claim.phrases), claim.spans().phrases))
    return [_entry(item, spans.get(item.name), wrong=wrong) for item in scene.items]


def _entry(item: Item, span: tuple[int, int] | None, *, wrong: Sequence[Box]) -> dict:
    entry: dict = {
        "name": item.name,
        "attributes": [item.colour] if item.colour and not item.word else [],
        "bbox": item.box.as_list(),
        "phrase": list(span) if span else None,
        "wrong": item.box in wrong or (item.word_box is not None and item.word_box in wrong),
    }
    return entry | ({"word": item.word} if item.word else {})
