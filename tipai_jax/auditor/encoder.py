"""The frozen encoder of an auditor: found, compared with the one its heads were trained on, and loaded."""

from typing import TYPE_CHECKING

from tipai_jax.errors import UserError
from tipai_jax.store import Fingerprint

if TYPE_CHECKING:
    from precompute.encoders.clip import ClipEncoder

__all__ = ["load_encoder"]

NAME_IT = "name that encoder's folder with --encoder, in Python Auditor.from_pretrained(..., encoder=FOLDER)"


def load_encoder(name: str, *, wanted: Fingerprint, device: str | None, batch_size: int) -> "ClipEncoder":
    """Load an encoder.

    Args:
        name: `tiny`, a folder or a hub id.
        wanted: of the encoder that the heads were trained on.
        device: "cpu" or "cuda"; CUDA where there is one if None.
        batch_size: images or prompts per forward pass, at most.

    Raises:
        UserError: it is not found, it is another one than `wanted`, or there is no such device.
    """
    from precompute.compute import best_device, check_device
    from precompute.encoders.clip import load_clip
    from precompute.encoders.folder import find_encoder

    device = device or best_device()
    check_device(device, go_on=' (in Python device="cpu")')
    try:
        folder = find_encoder(name)
    except UserError as error:
        raise UserError(
            f"{error}; the heads were trained on {wanted.name!r}, digest {wanted.digest[:12]}: {NAME_IT}"
        ) from None
    found = folder.fingerprint(patches=wanted.patches, dtype=wanted.dtype)
    if found.digest != wanted.digest:
        differing = found.differences(wanted)
        shown = [
            f"{part} {here}, theirs {there}" for part, (here, there) in differing.items() if part != "files_digest"
        ]
        if len(shown) < len(differing) or not differing:
            shown.append("other weights, configuration, tokenizer or preprocessing")
        raise UserError(
            f"encoder {name}: digest {found.digest[:12]}, but the heads were trained on {wanted.name}"
            f" with digest {wanted.digest[:12]} ({'; '.join(shown)}); {NAME_IT}"
        )
    return load_clip(folder, patches=wanted.patches, dtype=wanted.dtype, device=device, batch_size=batch_size)
