"""The catalogue of a folder of images: which prompt each was made for, how any scorer judged it, which are best and
worst.

A score belongs to the bytes of an image (their sha256), a prompt and a scorer (a name and the digest of the weights
behind it), so the scores of several scorers lie side by side and an image that is made anew loses the old ones.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from tipai_jax.errors import UserError
from tipai_jax.files.atomic import sha256_bytes
from tipai_jax.store.catalog_rows import CatalogImage, CatalogPair, CatalogScore, Scorer

__all__ = ["CATALOG", "Catalog", "CatalogImage", "CatalogPair", "CatalogScore", "Scorer", "open_catalog", "read_image"]

CATALOG = "catalog.db"
_APPLICATION = 0x54695041  # "TiPA": whose file it is
_VERSION = 1
_TABLES = """
CREATE TABLE images (
    image_id  TEXT PRIMARY KEY,
    sha256    TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64),
    prompt_id TEXT NOT NULL CHECK (prompt_id <> ''),
    prompt    TEXT NOT NULL CHECK (prompt <> ''),
    category  TEXT NOT NULL,
    seed      INTEGER NOT NULL CHECK (seed >= 0),
    path      TEXT NOT NULL UNIQUE CHECK (path <> '' AND substr(path, 1, 1) <> '/'),
    generator TEXT NOT NULL CHECK (generator <> ''),
    settings  TEXT NOT NULL CHECK (json_valid(settings)),
    drawn     INTEGER NOT NULL CHECK (drawn IN (0, 1)),
    broken    INTEGER CHECK (broken IN (0, 1)),
    broken_category TEXT NOT NULL CHECK ((broken_category <> '') = (broken IS 1)),
    kind      TEXT NOT NULL,
    boxes     TEXT NOT NULL CHECK (json_type(boxes) = 'array'),
    UNIQUE (prompt_id, seed)
) STRICT;
CREATE TABLE scorers (
    name   TEXT NOT NULL CHECK (name <> ''),
    digest TEXT NOT NULL CHECK (digest <> ''),
    model  TEXT NOT NULL,
    rule   TEXT NOT NULL CHECK (rule <> ''),
    stops  TEXT CHECK (json_type(stops) = 'array' AND json_array_length(stops) = 3),
    PRIMARY KEY (name, digest)
) STRICT;
CREATE TABLE scores (
    sha256       TEXT NOT NULL REFERENCES images (sha256) ON DELETE CASCADE,
    prompt       TEXT NOT NULL CHECK (prompt <> ''),
    scorer       TEXT NOT NULL,
    digest       TEXT NOT NULL,
    global_score REAL NOT NULL CHECK (global_score BETWEEN 0 AND 1),
    raw          REAL NOT NULL,
    patch_scores TEXT NOT NULL CHECK (json_type(patch_scores) = 'array' AND json_array_length(patch_scores) > 0),
    PRIMARY KEY (sha256, prompt, scorer, digest),
    FOREIGN KEY (scorer, digest) REFERENCES scorers (name, digest)
) STRICT;
CREATE TABLE pairs (
    pair_id      TEXT PRIMARY KEY,
    prompt_id    TEXT NOT NULL,
    prompt       TEXT NOT NULL,
    chosen_img   TEXT NOT NULL REFERENCES images (image_id) ON DELETE CASCADE,
    rejected_img TEXT NOT NULL REFERENCES images (image_id) ON DELETE CASCADE,
    c_score      REAL NOT NULL CHECK (c_score BETWEEN 0 AND 1),
    r_score      REAL NOT NULL CHECK (r_score BETWEEN 0 AND 1),
    scorer       TEXT NOT NULL,
    digest       TEXT NOT NULL,
    CHECK (chosen_img <> rejected_img),
    CHECK (c_score >= r_score),
    UNIQUE (prompt_id, scorer, digest),
    FOREIGN KEY (scorer, digest) REFERENCES scorers (name, digest)
) STRICT;
"""


class Catalog:
    """An open catalogue; made by `open_catalog`."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self.folder = folder
        self._db = connection

    def images(self) -> list[CatalogImage]:
        """Every image in the order in which its prompt came, then by seed."""
        names = ", ".join(_names(CatalogImage))
        order = "(SELECT min(first.rowid) FROM images first WHERE first.prompt_id = images.prompt_id), seed"
        return [_image(row) for row in self._db.execute(f"SELECT {names} FROM images ORDER BY {order}")]

    def put_image(self, image: CatalogImage) -> None:
        """Enter an image; one of the same id but of other bytes loses its scores and pairs."""
        values = [getattr(image, name) for name in _names(CatalogImage)]
        values[-1] = json.dumps(list(image.boxes))
        with self._db:
            self._db.execute("DELETE FROM images WHERE image_id = ? AND sha256 <> ?", (image.image_id, image.sha256))
            self._db.execute(_upsert("images", _names(CatalogImage), ("image_id",)), values)

    def scorers(self) -> list[Scorer]:
        """Everybody who has judged here, in the order in which they came."""
        rows = self._db.execute(f"SELECT {', '.join(_names(Scorer))} FROM scorers ORDER BY rowid")
        return [
            Scorer(**{**dict(row), "stops": None if row["stops"] is None else tuple(json.loads(row["stops"]))})
            for row in rows
        ]

    def find_scorer(self, wanted: str) -> Scorer:
        """The scorer of a name, or of `NAME@DIGEST` with the first digits of the digest.

        Raises:
            UserError: nobody of that name has judged here, or several have.
        """
        name, _, digest = wanted.partition("@")
        found = [scorer for scorer in self.scorers() if scorer.name == name and scorer.digest.startswith(digest)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{scorer.full_name} ({scorer.model})" for scorer in found or self.scorers())
        if found:
            raise UserError(
                f"--scorer {wanted}: {len(found)} scorers of that name have judged here; say which: {known}"
            )
        way_on = f"there are {known}" if known else f"score first: python precompute/score.py --data {self.folder}"
        raise UserError(f"--scorer {wanted}: has scored nothing in {self.folder / CATALOG}; {way_on}")

    def scores(self, scorer: Scorer) -> dict[str, CatalogScore]:
        """Every image's score against its own prompt, by `image_id`."""
        query = (
            "SELECT image_id, s.sha256, s.prompt, global_score, raw, patch_scores FROM scores s "
            "JOIN images i ON i.sha256 = s.sha256 AND i.prompt = s.prompt WHERE scorer = ? AND digest = ?"
        )
        found = {}
        for row in self._db.execute(query, (scorer.name, scorer.digest)):
            patches = tuple(json.loads(row["patch_scores"]))
            found[row["image_id"]] = CatalogScore(
                sha256=row["sha256"],
                prompt=row["prompt"],
                global_score=row["global_score"],
                raw=row["raw"],
                patch_scores=patches,
            )
        return found

    def put_scores(self, scorer: Scorer, scores: Iterable[CatalogScore]) -> None:
        """Enter scores, all or none; the same scorer's earlier ones of the same image and prompt are replaced."""
        names = ("sha256", "prompt", "scorer", "digest", "global_score", "raw", "patch_scores")
        rows = [
            (
                score.sha256,
                score.prompt,
                scorer.name,
                scorer.digest,
                float(score.global_score),
                float(score.raw),
                json.dumps([float(value) for value in score.patch_scores]),
            )
            for score in scores
        ]
        with self._db:
            self._put_scorer(scorer)
            self._db.executemany(_upsert("scores", names, names[:4]), rows)

    def pairs(self, scorer: Scorer) -> list[CatalogPair]:
        """The pairs of a scorer in the order in which they were entered."""
        query = f"SELECT {', '.join(_names(CatalogPair))} FROM pairs WHERE scorer = ? AND digest = ? ORDER BY rowid"
        return [CatalogPair(**row) for row in self._db.execute(query, (scorer.name, scorer.digest))]

    def put_pairs(self, scorer: Scorer, pairs: Iterable[CatalogPair]) -> None:
        """Enter the pairs of a scorer in place of all its earlier ones, all or none."""
        names = (*_names(CatalogPair), "scorer", "digest")
        rows = [(*(getattr(pair, name) for name in _names(CatalogPair)), scorer.name, scorer.digest) for pair in pairs]
        with self._db:
            self._put_scorer(scorer)
            self._db.execute("DELETE FROM pairs WHERE scorer = ? AND digest = ?", (scorer.name, scorer.digest))
            self._db.executemany(f"INSERT INTO pairs ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", rows)

    def _put_scorer(self, scorer: Scorer) -> None:
        names = tuple(_names(Scorer))
        values = [getattr(scorer, name) for name in names[:-1]] + [
            None if scorer.stops is None else json.dumps(list(scorer.stops))
        ]
        self._db.execute(_upsert("scorers", names, names[:2]), values)


def read_image(folder: Path, image: CatalogImage) -> bytes:
    """The bytes of an image, if they are still those that were entered.

    Args:
        folder: of the catalogue.
        image: its row.

    Raises:
        UserError: the file is gone, cannot be read or has changed.
    """
    path = folder / image.path
    data, problem = b"", "has changed since it was made"
    try:
        data = path.read_bytes()
    except OSError as error:
        problem = error.strerror or str(error)
    if sha256_bytes(data) != image.sha256:
        raise UserError(
            f"{path}: {problem}; run the same generate.py command again, it makes anew what is missing or changed"
        )
    return data


@contextmanager
def open_catalog(folder: Path, *, create: bool = False) -> Iterator[Catalog]:
    """The catalogue of a folder, closed at the end.

    Args:
        folder: holds `catalog.db` and, at the paths it names, the images.
        create: begin one where there is none.

    Raises:
        UserError: there is none, it is damaged or in use, or it is of another kind or a newer version.
    """
    path = folder / CATALOG
    if not path.is_file() and not create:
        raise UserError(f"{path}: no catalogue here; make images first: python precompute/generate.py --out {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=10.0)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        _check_version(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        yield Catalog(connection, folder)
    except sqlite3.IntegrityError:
        raise  # what we enter breaks a rule of the tables: a defect of ours
    except (sqlite3.DatabaseError, sqlite3.Warning) as error:
        raise UserError(
            f"{path}: cannot be used ({error}); wait for whoever has it open, or remove it and make the images again"
        ) from None
    finally:
        if connection is not None:
            connection.close()


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of an empty file; refuse what is not ours or not of our time."""
    version, application = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")
    )
    if application == _APPLICATION and version > _VERSION:
        raise UserError(
            f"{path}: is of version {version}, this program reads up to {_VERSION}; use the newer program that wrote it"
        )
    if application == _APPLICATION and version == _VERSION:
        return
    if version or application or connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise UserError(f"{path}: is a database, but no catalogue of images; choose another folder")
    connection.executescript(
        f"BEGIN;{_TABLES}PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_VERSION}; COMMIT;"
    )


def _names(record: type) -> list[str]:
    return [field.name for field in fields(record)]


def _image(row: sqlite3.Row) -> CatalogImage:
    broken = None if row["broken"] is None else bool(row["broken"])
    return CatalogImage(
        **{**dict(row), "drawn": bool(row["drawn"]), "broken": broken, "boxes": tuple(json.loads(row["boxes"]))}
    )


def _upsert(table: str, names: Iterable[str], keys: tuple[str, ...]) -> str:
    names = list(names)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) ON CONFLICT"
        f" ({', '.join(keys)}) DO UPDATE SET {changes}"
    )
