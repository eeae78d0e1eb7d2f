"""A trained auditor as a folder of two files, `config.json` and `model.safetensors`, and a model card. No pickle.

The weights can be read without jax: names are those of the module, joined by dots, values f32.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from tipai_jax.auditor.card import model_card
from tipai_jax.config.auditor import ModelConfig
from tipai_jax.config.records import model_from_json, model_to_json
from tipai_jax.errors import UserError
from tipai_jax.evaluation.calibration import Calibration, calibration_from_json, calibration_to_json, load_calibration
from tipai_jax.files.atomic import canonical_json, write_file
from tipai_jax.files.hub import hub_folder, is_hub_id, no_such_folder
from tipai_jax.files.nested import flatten
from tipai_jax.store import Fingerprint, noted_folder

if TYPE_CHECKING:
    from tipai_jax.evaluation.inference import Run

__all__ = ["CONFIG", "WEIGHTS", "Bundle", "find_bundle", "read_bundle"]

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
FORMAT = "tipai_jax auditor"
VERSION = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Bundle:
    """Everything that a score depends on, and where it came from.

    Attributes:
        model: the configuration of the heads.
        weights: the heads' parameters by dotted name, f32.
        calibration: fitted on the validation split.
        encoder: fingerprint of the encoder whose embeddings the heads read.
        trained: "store_digest", "step", "validation_pair_auc", "small_world_only".
        evaluation: `eval.json`, or None if there was none.
        encoder_folder: where the encoder of a run lies, as its store has noted it; None where that is not known or no
            longer true. It is not saved: no path of a machine is part of an auditor.
    """

    model: ModelConfig
    weights: dict[str, Float[np.ndarray, "..."]]
    calibration: Calibration
    encoder: Fingerprint
    trained: dict[str, Any]
    evaluation: dict[str, Any] | None
    encoder_folder: Path | None = None

    @property
    def small_world_only(self) -> bool:
        """The encoder or the training pairs know drawn scenes only and nothing of photographs."""
        return self.encoder.small_world_only or bool(self.trained["small_world_only"])

    def digest(self) -> str:
        """sha256 over everything that a score depends on: the heads, their calibration and the encoder's digest."""
        calibration = calibration_to_json(self.calibration)
        del calibration["record"]
        parts = {"model": model_to_json(self.model), "calibration": calibration, "encoder": self.encoder.digest}
        hashed = hashlib.sha256(canonical_json(parts))
        for name in sorted(self.weights):
            value = np.asarray(self.weights[name], np.float32, order="C")
            hashed.update(f"\n{name} {value.shape}\n".encode())
            hashed.update(value.tobytes())
        return hashed.hexdigest()

    def save(self, folder: Path) -> None:
        """Write the two files and the card; the config last, so that a folder without one is no auditor."""
        from safetensors.numpy import save

        record = {
            "format": FORMAT,
            "version": VERSION,
            "heads_digest": self.digest(),
            "model": model_to_json(self.model),
            "encoder": dataclasses.asdict(self.encoder),
            "calibration": calibration_to_json(self.calibration),
            "trained": self.trained,
            "evaluation": self.evaluation,
        }
        write_file(
            folder / WEIGHTS,
            save({name: np.asarray(value, np.float32, order="C") for name, value in self.weights.items()}),
        )
        write_file(folder / CARD, model_card(record, limits=self.calibration.notes([])).encode())
        write_file(folder / CONFIG, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())


def read_bundle(folder: Path) -> Bundle:
    """Read what `Bundle.save` wrote, and check that nothing in it has changed.

    Raises:
        UserError: a file is missing or damaged, or of another version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        record = json.loads((folder / CONFIG).read_bytes())
        if record.get("format") != FORMAT:
            raise UserError(
                f"{folder / CONFIG}: not the config of an auditor; give the folder of a run, or one that"
                " Auditor.save_pretrained wrote"
            )
        if record["version"] != VERSION:
            raise UserError(
                f"{folder / CONFIG}: version {record['version']}, this tipai_jax reads {VERSION}; take the tipai_jax"
                " that wrote it"
            )
        encoder = record["encoder"]
        bundle = Bundle(
            model=model_from_json(record["model"]),
            weights=load_file(folder / WEIGHTS),
            calibration=calibration_from_json(record["calibration"]),
            encoder=Fingerprint.from_json(encoder),
            trained=record["trained"],
            evaluation=record["evaluation"],
        )
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename}: missing; an auditor is {CONFIG} and {WEIGHTS}, as Auditor.save_pretrained writes them"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(
            f"{folder}: cannot be read as an auditor ({type(error).__name__}: {error}); save or fetch it again"
        ) from None
    if bundle.digest() != record["heads_digest"]:
        raise UserError(
            f"{folder}: {WEIGHTS} or {CONFIG} was changed after it was saved (the digest of the heads differs); save or"
            " fetch it again"
        )
    return bundle


def find_bundle(name: str) -> Bundle:
    """The auditor of a trained and evaluated run, of a folder that `Bundle.save` wrote, or of a hub id of one.

    Raises:
        UserError: there is none, or the run was not evaluated yet.
    """
    folder = Path(name)
    if (folder / WEIGHTS).exists():
        return read_bundle(folder)
    if folder.is_dir():
        return _bundle_of_run(folder)
    if folder.parts[:1] == ("runs",):
        raise UserError(
            f"{name}: no trained auditor there yet; make the one of the quickstart with scripts/quickstart.sh, or name"
            " another"
        )
    if not is_hub_id(name):
        raise UserError(
            f"{name}: {no_such_folder(name)}; expected that of a trained and evaluated run, one that"
            " Auditor.save_pretrained wrote, or a hub id"
        )
    return read_bundle(_from_hub(name))


def _bundle_of_run(workdir: Path) -> Bundle:
    """The best checkpoint of a trained and evaluated run.

    Raises:
        UserError: no run there, or it was not evaluated yet, which is what fits the calibration.
    """
    from flax import nnx

    from tipai_jax.evaluation.inference import load_run
    from tipai_jax.evaluation.record import made_for

    run = load_run(workdir)
    calibration = load_calibration(workdir)
    if calibration.record.get("made_for") != made_for(run):
        raise UserError(
            f"{workdir}/calibration.json belongs to another checkpoint, or an earlier version made it: run `python -m"
            f" tipai_jax.evaluate --workdir {workdir}` again"
        )
    encoder = run.store["encoder"]
    return Bundle(
        model=run.config.model,
        weights={
            name: np.asarray(value, np.float32)
            for name, value in flatten(nnx.to_pure_dict(nnx.state(run.model, nnx.Param))).items()
        },
        calibration=calibration,
        encoder=Fingerprint.from_json(encoder),
        trained={
            "store_digest": run.store["digest"],
            "step": run.step,
            "validation_pair_auc": run.score,
            "small_world_only": bool(run.store["small_world_only"]),
        },
        evaluation=_evaluation(workdir, run),
        encoder_folder=noted_folder(Path(run.store["path"]), "encoder"),
    )


def _evaluation(workdir: Path, run: "Run") -> dict[str, Any] | None:
    """`eval.json`, if it is of just this checkpoint."""
    from tipai_jax.evaluation.record import made_for
    from tipai_jax.report.write import RECORD

    try:
        record = json.loads((workdir / RECORD).read_bytes())
        of = {
            "store_digest": record["training_store_digest"],
            "config_digest": record["config_digest"],
            "step": record["checkpoint"]["step"],
        }
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return record if of == made_for(run) and "layout" in record else None


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    wanted = [CONFIG, WEIGHTS]
    return hub_folder(
        name,
        kind="auditor",
        find=lambda: Path(snapshot_download(name, allow_patterns=wanted, local_files_only=True)),
        whole=lambda folder: all((folder / each).exists() for each in wanted),
        fetch=lambda: Path(snapshot_download(name, allow_patterns=wanted)),
        hint="name the folder of a trained and evaluated run, or one that Auditor.save_pretrained wrote",
    )
