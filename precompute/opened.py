"""One image from its source to the encoder's pixels, with its hash; a problem is returned, not raised."""

from dataclasses import dataclass

from precompute.encoders.images import BadImage, Preparation, Prepared
from precompute.readers.records import Source
from tipai_jax.files.atomic import sha256_bytes

__all__ = ["Opened", "open_image"]


@dataclass(frozen=True)
class Opened:
    """An image after its preparation.

    Attributes:
        prepared: None where it cannot be used.
        sha256: of the file; "" where it cannot be read.
        problem: why it cannot be used, else "".
    """

    prepared: Prepared | None
    sha256: str
    problem: str


def open_image(key: str, source: Source, preparation: Preparation) -> Opened:
    """Read, hash, decode and prepare one image; a problem is returned, not raised."""
    try:
        data = source.read_image(key)
    except OSError as error:
        return Opened(None, "", f"{key!r} cannot be read ({error.strerror or error})")
    sha256 = sha256_bytes(data)
    try:
        return Opened(preparation.prepare(data), sha256, "")
    except BadImage as error:
        return Opened(None, sha256, f"{key!r} is not a whole image ({error})")
