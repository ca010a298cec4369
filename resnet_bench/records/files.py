"""How a run's files are written and read: CSVs with typed cells, and JSON, whole or refused.

Nothing here imports torch: the analysis reads runs with it.
"""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from resnet_bench.errors import UserError


def read_rows(path: Path, types: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a CSV with the columns of `types`, each cell as its type; none without a file.

    A torn last line, which a killed process may leave, is not a row. An empty cell is None where
    that is allowed. Raises UserError, naming the file, for anything else that is not so.
    """
    try:
        text = path.read_text(encoding="utf-8")
        reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
        rows = list(reader)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: damaged: {error}") from error
    if rows and tuple(reader.fieldnames or ()) != tuple(types):
        raise UserError(f"{path}: its columns are not those of this version")
    return [_typed(row, types, f"{path}: row {number}") for number, row in enumerate(rows, 1)]


def _typed(cells: dict[str, str], types: Mapping[str, Any], where: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if set(cells) != set(types) or None in cells.values():  # what csv does with too many, or few
        raise UserError(f"{where}: damaged: not {len(types)} cells")
    for name, text in cells.items():
        kinds = get_args(types[name]) or (types[name],)
        try:
            values[name] = None if text == "" and NoneType in kinds else kinds[0](text)
        except ValueError as error:
            raise UserError(f"{where}: {name}: {text!r} is not a number") from error
    return values


def as_csv(columns: tuple[str, ...], rows: list[tuple[Any, ...]], *, header: bool) -> str:
    """The rows, and before them the names of the columns; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if header:
        writer.writerow(columns)
    # str() of a float is its repr(): reading it gives the same bits.
    writer.writerows(["" if value is None else str(value) for value in row] for row in rows)
    return buffer.getvalue()


def append(path: Path, text: str) -> None:
    """Add `text` and have it on disk when this returns; raises UserError if it cannot."""
    with writing(path), path.open("a", newline="", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, contents: bytes) -> None:
    """Replace `path` in one step, so that a kill leaves the old file or the new one, whole.

    Raises UserError if it cannot: what is left then is the old one.
    """
    temporary = path.parent / f"{path.name}.tmp"
    with writing(path):
        try:
            with temporary.open("wb") as file:
                file.write(contents)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()  # a full disk need not be kept full
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A context in which `path` is written; raises UserError if it cannot be."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def write_json(path: Path, contents: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(contents, indent=2) + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None without a file. Raises UserError for anything else."""
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: damaged: {error}") from error
    if not isinstance(contents, dict):
        raise UserError(f"{path}: damaged: not an object")
    return contents
