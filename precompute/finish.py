"""The end of an embedding run: once every shard is there, the pairs, the rejects and the manifest are written.

The worker that finishes last writes them; any other would write the same bytes.
"""

import numpy as np

from precompute.encoders.folder import EncoderFolder
from precompute.encoders.images import Preparation
from precompute.object_rows import object_columns
from precompute.opened import open_image
from precompute.pair_rows import build_pairs, check_rejects, image_rows, prompt_rows, reject_columns
from precompute.readers.records import Source
from precompute.shards import Work, committed_shard, unknown_column
from tipai_jax.store import SPLITS, Manifest, Shard
from tipai_jax.store.pairs import to_arrow
from tipai_jax.store.writer import StoreWriter

__all__ = ["finish"]


def finish(
    source: Source,
    folder: EncoderFolder,
    writer: StoreWriter,
    works: list[Work],
    *,
    made: dict[tuple[str, int], Shard],
    allowed: float,
) -> Manifest | None:
    """Write the pairs, the rejects and the manifest, if the shards of all workers are there.

    Args:
        source: the data.
        folder: the encoder's files.
        writer: the store's.
        works: all shards of prompts, phrases and images.
        made: those that this run wrote or checked by hash; the others are hashed here.
        allowed: the largest share of rejects that is accepted.

    Returns:
        The manifest, or None while shards are missing.

    Raises:
        UserError: too many rejects; what was embedded is kept.
    """
    open_works = [work for work in works if writer.committed(work.table, work.index, work.content) is None]
    found = [
        made.get((work.table, work.index)) or committed_shard(writer, work, source, rehash=True)
        for work in works
        if work not in open_works
    ]
    shards = [shard for shard in found if shard is not None]
    if len(shards) < len(works):
        print(
            f"{writer.path}: {len(shards)} of {len(works)} shards are there; the last worker to finish "
            "(or the same command again) writes the manifest"
        )
        return None
    encoder = writer.plan.encoder
    images = image_rows(writer.path, sum(work.table == "images" for work in works))
    prompts, chunked, unknown = prompt_rows(writer.path, sum(work.table == "prompts" for work in works))
    missing = [key for work in works if work.table == "images" for key in work.keys if key not in images]
    problems = _problems(missing, source, folder)
    pairs, late = build_pairs(
        source.records, images=images, prompts=prompts, problems=problems, encoder=encoder, phrases=source.phrases
    )
    rejects = source.rejects + late
    shards.append(writer.commit("rejects", 0, content="", columns=reject_columns(rejects)))
    reasons = check_rejects(rejects, pairs=source.rows, allowed=allowed, listed=writer.path / "rejects/00000.parquet")
    counts = {"pairs": len(pairs), "prompts": len(prompts), "images": len(images), "rejects": len(rejects)}
    counts |= {"prompts_in_chunks": chunked, f"prompts_with_{unknown_column(writer)}": unknown}
    columns = to_arrow(pairs)
    if (index := source.phrases) is None:
        columns = columns.drop_columns(["phrase_label"])  # as the version wrote it that began the store
    else:
        sizes = np.array([len(index.rows[prompt]) for prompt in prompts])[pairs.prompt]
        columns = to_arrow(pairs, sizes)
        counts |= {"phrases": len(index.entries), "content_words": index.content_words}
        counts["content_words_in_phrases"] = index.covered_words
        objects = object_columns(source.records, pairs, images=images, encoder=encoder, phrases=index)
        if objects is not None:
            shards.append(writer.commit("objects", 0, content="", columns=objects))
            counts["objects"] = objects.num_rows
    shards.append(writer.commit("pairs", 0, content="", columns=columns))
    shifts = sorted({name for name in pairs.split.tolist() if name not in SPLITS})
    splits = {name: int((pairs.split == name).sum()) for name in (*SPLITS, *shifts)}
    return writer.finish(shards, splits=splits, counts=counts, reject_reasons=reasons)


def _problems(keys: list[str], source: Source, folder: EncoderFolder) -> dict[str, str]:
    """Why images could not be embedded. They are few, so they are opened once more instead of keeping the reasons."""
    if not keys:
        return {}
    preparation = Preparation.from_config(folder.processor, image_size=folder.vision("image_size", 224), crop_source=0)
    return {key: open_image(key, source, preparation).problem or f"{key!r} could not be read" for key in keys}
