"""A config as JSON and back, and what differs between two configs.

A record names its task, and `from_json` builds the config class of that task: a tagged union.
"""

import dataclasses
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tipai_jax.config.auditor import AuditorConfig, ModelConfig
from tipai_jax.config.checks import present_names, require
from tipai_jax.config.schema import FREE_FIELDS, RunConfig, TargetFields
from tipai_jax.errors import UserError
from tipai_jax.files.nested import flatten
from tipai_jax.renamed import FIELDS, GONE, REMOVED

__all__ = [
    "KINDS",
    "differences",
    "fields_of",
    "for_digest",
    "from_json",
    "model_from_json",
    "model_to_json",
    "old_names",
    "removed_names",
    "replace_field",
    "swept_fields",
    "to_json",
]

KINDS: list[type[RunConfig]] = [AuditorConfig]
"""The config classes of the tasks that there are."""


def to_json(config: RunConfig) -> dict[str, Any]:
    """The resolved config as plain dicts, ready for `json.dumps`; "task" comes first."""
    return {"task": config.task, **dataclasses.asdict(config)}


def from_json(record: Mapping[str, Any]) -> Any:
    """The config that `to_json` wrote, of the class that belongs to its task. A record without a task is an auditor's.

    Raises:
        UserError: an unknown task, an unknown or missing field (those of `targets` and those that later versions added
            may be missing), a wrong value, or another than the default of a field that is gone.
    """
    require(isinstance(record, Mapping), "the file", record, "a table of fields")
    fields = {name: value for name, value in record.items() if name != "task"}
    task, kinds = record.get("task", AuditorConfig.task), {kind.task: kind for kind in KINDS}
    require(task in kinds, "task", task, " or ".join(map(repr, kinds)))
    return _build(kinds[task], fields, "")


def model_from_json(record: Mapping[str, Any]) -> ModelConfig:
    """The model's part of what `to_json` wrote of an auditor; errors as `from_json`."""
    return _build(ModelConfig, record, "model.")


def model_to_json(model: ModelConfig) -> dict[str, Any]:
    """The model's part of `for_digest` without fields that later versions added and that have their default, so that
    what depends on it alone is the same for every version.
    """
    later = {each.name: each.default for each in dataclasses.fields(model) if each.metadata.get("added")}
    missing = object()
    return {name: value for name, value in _as_ever(model).items() if later.get(name, missing) != value}


def for_digest(config: RunConfig) -> dict[str, Any]:
    """`to_json` with the fields that are gone at the value they had, so that runs of before keep their digest."""
    return {"task": config.task, **_as_ever(config)}


def _as_ever(part: Any) -> dict[str, Any]:
    values = {each.name: getattr(part, each.name) for each in dataclasses.fields(part)}
    plain = {name: _as_ever(value) if dataclasses.is_dataclass(value) else value for name, value in values.items()}
    return plain | REMOVED.get(type(part).__name__, {})


def _build(kind: type, record: Any, prefix: str) -> Any:
    require(isinstance(record, Mapping), prefix or "the file", record, "a table of fields")
    hints = {field.name: typing.get_type_hints(kind)[field.name] for field in dataclasses.fields(kind)}
    record = present_names(kind, dict(record))
    for name, plain in REMOVED.get(kind.__name__, {}).items():
        if (value := record.pop(name, plain)) != plain:
            raise UserError(f"config: {prefix}{name} is {value!r}, a field that {GONE}")
    grown = [each for each in dataclasses.fields(kind) if each.metadata.get("added") or issubclass(kind, TargetFields)]
    record = {each.name: each.default for each in grown if each.default is not dataclasses.MISSING} | record
    for name in record.keys() ^ hints.keys():
        what = "an unknown field" if name in record else "a field that is missing"
        raise UserError(f"config: {prefix}{name} is {what}; this version knows {', '.join(sorted(hints))}")
    values = {
        name: _build(hint, record[name], f"{prefix}{name}.")
        if isinstance(hint, type) and dataclasses.is_dataclass(hint)
        else record[name]
        for name, hint in hints.items()
    }
    return kind(**values)


def differences(old: RunConfig, new: RunConfig) -> list[str]:
    """`name: old -> new` for each field that differs and must not when a run goes on (see `FREE_FIELDS`)."""
    before, after = flatten(to_json(old)), flatten(to_json(new))
    fixed = [name for name in dict.fromkeys([*before, *after]) if name.split(".")[0] not in FREE_FIELDS]
    return [
        f"{name}: {before.get(name)!r} -> {after.get(name)!r}" for name in fixed if before.get(name) != after.get(name)
    ]


def fields_of(config: Any, prefix: str = "") -> Iterator[tuple[str, Any, dataclasses.Field[Any], Any]]:
    """(dotted name, type hint, field, dataclass it stands in) of every leaf of a config, in order."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from fields_of(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", hints[field.name], field, config


def replace_field(config: Any, name: str, value: Any) -> Any:
    """The config with one leaf, given by its dotted name, replaced."""
    head, _, rest = name.partition(".")
    return dataclasses.replace(config, **{head: replace_field(getattr(config, head), rest, value) if rest else value})


def swept_fields(config: RunConfig) -> Sequence[str]:
    """Dotted names of the fields that the members of a sweep may differ in."""
    return [name for name, _, field, _ in fields_of(config) if field.metadata.get("swept")]


def old_names(config: Any) -> dict[str, str]:
    """Old dotted name -> present dotted name of every field that was renamed."""
    found = {}
    for prefix, part in _parts(config):
        found |= {f"{prefix}{old}": f"{prefix}{now}" for old, now in FIELDS.get(type(part).__name__, {}).items()}
    return found


def removed_names(config: Any) -> list[str]:
    """Dotted names of the fields that are gone."""
    return [f"{prefix}{name}" for prefix, part in _parts(config) for name in REMOVED.get(type(part).__name__, {})]


def _parts(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(prefix of the dotted names of its fields, dataclass) of a config and of every dataclass in it."""
    yield prefix, config
    for field in dataclasses.fields(config):
        if dataclasses.is_dataclass(value := getattr(config, field.name)):
            yield from _parts(value, f"{prefix}{field.name}.")
