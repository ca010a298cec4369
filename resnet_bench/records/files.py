"""Read and write files, CSVs of dataclasses and JSON; a damaged file raises UserError.

Nothing here imports torch: the analysis reads runs with it.
"""

import csv
import errno
import fnmatch
import io
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from resnet_bench.errors import UserError

TEMPORARY = ".tmp"  # how the names of files end that are not whole yet
BYTE_ORDER_MARK = "\ufeff"
RESAVED = "saved anew by another program, such as a spreadsheet; the run's own file is needed"
Row = TypeVar("Row")  # a dataclass whose fields are int, float, str, or one of these or None


def read(path: Path) -> bytes | None:
    """The contents of a file; None without one.

    Raises UserError if it cannot be read, or is a device or a pipe: reading might never end.
    """
    try:
        if not path.is_file() and not path.is_dir() and path.exists():
            raise OSError(errno.EINVAL, "not a regular file")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def find_paths(folder: Path, pattern: str) -> list[Path]:
    """The paths below `folder` that match, such as "*/seed-*/run.json", in order.

    Path.glob would leave out what may not be read: here that is a UserError.
    """
    paths = [folder]
    for part in pattern.split("/"):
        paths = [path / name for path in paths for name in fnmatch.filter(_names(path), part)]
    return sorted(paths)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are wanted
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror}") from error


def read_csv(path: Path, row_type: type[Row]) -> list[Row]:
    """The rows of a CSV with a column for each field of `row_type`; [] without a file.

    A last line without its newline, which a killed process may leave, is skipped. An empty cell
    is None if the field may be None. Raises UserError, naming file, row, column and value, for
    anything that cannot be read so.
    """
    contents = read(path)
    if contents is None:
        return []
    try:
        text = contents.decode()
        columns, *rows = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: damaged: {error}") from error
    types = get_type_hints(row_type)
    if text.startswith(BYTE_ORDER_MARK) or any(";" in column for column in columns):
        raise UserError(f"{path}: {RESAVED}")
    # An earlier version may lack the newest columns, if they have defaults.
    lacking = [
        field
        for field in fields(row_type)  # type: ignore[arg-type]
        if field.name not in columns
    ]
    if rows and (
        columns != list(types)[: len(columns)] or any(field.default is MISSING for field in lacking)
    ):
        raise UserError(f"{path}: its columns are not those of this version")
    readers = {name: _reader(types[name]) for name in columns if name in types}
    filled = enumerate(filter(None, rows), 1)
    return [_typed(row_type, row, readers, f"{path}: row {n}") for n, row in filled]


def _reader(type_: Any) -> Callable[[str], Any]:
    """What reads a cell of this type, strictly: pydantic would take 1.0 for an int."""
    kind, *others = get_args(type_) or (type_,)
    read_cell = _integer if kind is int else kind
    return (lambda text: read_cell(text) if text else None) if NoneType in others else read_cell


def _integer(text: str) -> int:
    value = int(text)
    if abs(value) >= 2**63:
        raise ValueError
    return value


def _typed(
    row_type: type[Row], cells: list[str], readers: dict[str, Callable[[str], Any]], where: str
) -> Row:
    if len(cells) != len(readers):
        raise UserError(f"{where}: damaged: not {len(readers)} cells")
    values = []
    try:
        for read_cell, text in zip(readers.values(), cells, strict=True):
            values.append(read_cell(text))
    except ValueError as error:
        name = list(readers)[len(values)]
        shown = text if len(text) < 40 else f"{text[:40]}..."
        reason = f"is {RESAVED}" if re.fullmatch(r"\d+[.,]\d*", text) else "is not a number"
        raise UserError(f"{where}: {name}: {shown!r} {reason}") from error
    try:
        return row_type(**dict(zip(readers, values, strict=True)))
    except ValueError as error:
        raise UserError(f"{where}: damaged: {error}") from error


def as_csv(row_type: type[Row], rows: Sequence[Row], *, header: bool) -> str:
    """CSV of `rows`, after the names of the fields with `header`; None is an empty cell."""
    columns = list(get_type_hints(row_type))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if header:
        writer.writerow(columns)
    for row in rows:
        values = [getattr(row, column) for column in columns]
        # str() of a float is its repr(): reading it gives the same bits.
        writer.writerow(["" if value is None else str(value) for value in values])
    return buffer.getvalue()


def append(path: Path, text: str) -> None:
    """Add `text` and flush it to disk; raises UserError if that fails."""
    with writing(path), path.open("a", newline="", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, contents: bytes, keep: Path | None = None) -> None:
    """Replace `path` by renaming, so that a killed process leaves the old or the new file whole.

    With `keep` the old file is renamed to that: a kill may leave it there, and none at `path`.
    Raises UserError if that fails, or if `path` is a link, a device or a folder; the old one stays.
    """
    temporary = path.parent / f".{secrets.token_hex(8)}{TEMPORARY}"
    with writing(path):
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        try:
            with temporary.open("xb") as file:
                file.write(contents)
                file.flush()
                os.fsync(file.fileno())
            if keep and path.exists():
                path.replace(keep)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()  # frees a full disk
            raise


def remove_temporary(folder: Path) -> None:
    """Remove what killed processes have left of `write_atomically`."""
    for path in folder.glob(f".*{TEMPORARY}"):
        path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError while `path` is written into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def write_json(path: Path, contents: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(contents, indent=2) + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None without a file. Raises UserError for anything else."""
    text = read(path)
    if text is None:
        return None
    try:
        contents = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged: {error}") from error
    if not isinstance(contents, dict):
        raise UserError(f"{path}: damaged: not an object")
    return contents
