"""Copies of an SQLite database: made while it is written to, checked, and put into the place of another."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

MAGIC = b"SQLite format 3\x00"
BESIDE = ("-wal", "-shm")


class CopyError(Exception):
    """A backup cannot be made or restored; the text says why and what to do."""


def copy(source: Path, target: Path, check: Literal["quick_check", "integrity_check"]) -> None:
    """A consistent copy in one file, readable by its owner only, checked and on the disk. Readers and the writer of `source` go on."""
    target.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True)) as old, closing(sqlite3.connect(target)) as new:
            # All pages in one step: with several, each commit of somebody else would begin it anew.
            old.backup(new, pages=-1)
            new.execute("pragma journal_mode=delete")
            said = [row[0] for row in new.execute(f"pragma {check}")]
    except sqlite3.Error as error:
        raise CopyError(f"{source} cannot be copied: {error}.") from error
    if said != ["ok"]:
        raise CopyError(f"{source} is damaged: {'; '.join(said[:3])}.")
    synced(target)


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def is_empty(path: Path) -> bool:
    """Whether there is no table. One that cannot be read is not empty."""
    if not path.exists() or path.stat().st_size == 0:
        return True
    try:
        return not has_table(path, "%")
    except sqlite3.Error:
        return False


def has_table(path: Path, name: str) -> bool:
    """Whether there is a table of this name."""
    with closing(sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True)) as connection:
        return connection.execute("select 1 from sqlite_master where name like ?", [name]).fetchone() is not None


def let_go(path: Path) -> bool:
    """Bring all of a database into its one file. False: some process has it open."""
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        try:
            # Only who is alone may leave WAL.
            connection.execute("pragma journal_mode=delete")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                return False
        except sqlite3.DatabaseError:
            # Damaged, which may be why it is replaced.
            pass
    return True


def put(new: Path, place: Path) -> Path | None:
    """`new` takes the place in one step; what was there is kept beside and returned."""
    kept = None
    if place.exists():
        kept = _free(place)
        for end in BESIDE:
            # Only a damaged one has them still; they must not meet the new file.
            beside = place.with_name(place.name + end)
            if beside.exists():
                beside.replace(kept.with_name(kept.name + end))
        os.link(place, kept)
    new.replace(place)
    synced(place.parent)
    return kept


def _free(place: Path) -> Path:
    first = place.with_name(f"{place.name}.before-restore")
    kept, number = first, 1
    while kept.exists():
        number += 1
        kept = first.with_name(f"{first.name}-{number}")
    return kept


def take_away(path: Path) -> None:
    """The file, and what SQLite puts beside it."""
    for end in ("", *BESIDE, "-journal"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def synced(path: Path) -> None:
    """On the disk, whatever happens next: a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
