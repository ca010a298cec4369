"""A CSV of a run: rows are appended, and it is known to the bit what it should hold."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic

from resnet_bench.errors import UserError
from resnet_bench.records.files import (
    Row,
    append,
    as_csv,
    read,
    read_csv,
    write_atomically,
    writing,
)

# The size in bytes and the SHA-256 of what a CSV held when a checkpoint was written.
Mark = tuple[int, str]


class CsvFile(Generic[Row]):
    """A CSV that one process at a time appends to; without a row there is no file."""

    def __init__(self, path: Path, row_type: type[Row]) -> None:
        self.path = path
        self.row_type = row_type
        self._size = 0
        self._hash: Any = None  # of what this process knows to be in the file

    def rows(self) -> list[Row]:
        """The rows so far, oldest first; [] without a file. Raises UserError if it is damaged."""
        return read_csv(self.path, self.row_type)

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows and flush them to disk."""
        if self._hash is None:
            self._know(read(self.path) or b"")
        # A full disk, or a kill, may have left an empty file.
        text = as_csv(self.row_type, rows, header=self._size == 0)
        append(self.path, text)
        self._size += len(text.encode())
        self._hash.update(text.encode())

    def mark(self) -> Mark:
        """What `cut` takes. Raises UserError if the file is not what this process left there."""
        contents = read(self.path) or b""
        if self._hash is None:
            self._know(contents)
        if hashlib.sha256(contents).digest() != self._hash.digest():
            raise UserError(f"{self.path}: is not what the run wrote, which is still training")
        return self._size, self._hash.hexdigest()

    def cut(self, mark: Mark) -> None:
        """Remove what was added after `mark`. Raises UserError if what was there before differs."""
        size, digest = mark
        contents = (read(self.path) or b"")[:size]
        if hashlib.sha256(contents).hexdigest() != digest:
            raise UserError(
                f"{self.path}: damaged: rows from before the checkpoint are not what the run wrote;"
                " move the folder away to train the run again"
            )
        self._replace(contents)
        self.keep(self.rows())  # with the columns of today, if an earlier version began it

    def keep(self, rows: Sequence[Row]) -> None:
        """Leave these rows of the file and no others."""
        self._replace(as_csv(self.row_type, rows, header=True).encode() if rows else b"")

    def _replace(self, contents: bytes) -> None:
        self._know(contents)
        if contents == (read(self.path) or b""):
            return
        if contents:
            write_atomically(self.path, contents)
            return
        with writing(self.path):
            self.path.unlink(missing_ok=True)

    def _know(self, contents: bytes) -> None:
        self._size, self._hash = len(contents), hashlib.sha256(contents)
