"""What makes a pair unusable."""

__all__ = ["BadRow", "whole_characters"]


class BadRow(Exception):
    """A pair breaks a rule; `reason` is the code, the message a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def whole_characters(text: str, key: str) -> str:
    """The text, if UTF-8 can hold it: JSON can spell half a character, which no file can keep."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadRow(
            "bad_field", f"field {key!r} is {text[:80]!r}, which holds half a surrogate pair; expected whole characters"
        )
    return text
