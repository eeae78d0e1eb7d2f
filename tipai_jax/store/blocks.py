"""Arrays in a safetensors file whose bytes repeat, mapped back without a copy."""

import json
from pathlib import Path

import numpy as np

from tipai_jax.errors import UserError
from tipai_jax.files.atomic import canonical_json

__all__ = ["block_bytes", "map_block"]

_NAMES = {np.dtype(np.float16): "F16", np.dtype(np.float32): "F32", np.dtype(np.int32): "I32", np.dtype(np.int8): "I8"}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
_ALIGNMENT = 64


def block_bytes(arrays: dict[str, np.ndarray], metadata: dict[str, object]) -> bytearray:
    """The bytes of a safetensors file; equal input gives equal bytes.

    Args:
        arrays: name to array, f16, f32, i32 or i8.
        metadata: JSON values, kept as canonical JSON under the one key `tipai`.
    """
    header: dict[str, object] = {"__metadata__": {"tipai": canonical_json(metadata).decode()}}
    position = 0
    for name in sorted(arrays):
        array = arrays[name]
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [position, position + array.nbytes],
        }
        position += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    data = bytearray(len(text).to_bytes(8, "little") + text)
    for name in sorted(arrays):
        data += np.ascontiguousarray(arrays[name]).data.cast("B") if arrays[name].size else b""
    return data


def map_block(path: Path) -> dict[str, np.ndarray]:
    """Memory maps of the arrays of a safetensors file, read-only.

    Raises:
        UserError: the file is missing, or its header does not describe its bytes.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= size - 8:
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header = json.loads(file.read(length))
        arrays = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
            if end - begin != dtype.itemsize * int(np.prod(shape)) or 8 + length + end > size:
                raise ValueError(f"array {name!r} does not fit")
            empty = end == begin  # an empty range cannot be mapped
            arrays[name] = np.zeros(shape, dtype) if empty else np.memmap(path, dtype, "r", 8 + length + begin, shape)
    except FileNotFoundError:
        raise UserError(f"{path}: the file is missing from the store; run the embed command again") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not a readable safetensors file ({error}); delete the store and embed again"
        ) from None
    return arrays
