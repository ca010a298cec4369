"""The file of a cure, as a suite names it; nothing here runs it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from resnet_bench.errors import UserError, did_you_mean
from resnet_bench.paths import SUITES_FOLDER
from resnet_bench.suites.validation import Specification


class CureSpec(Specification):
    """A cure in an experiment: which file, with which options.

    The digest makes a changed file another experiment, whose results are never mixed with those
    of the file as it was.
    """

    name: str
    options: str = "{}"  # JSON, sorted by key
    sha256: str  # of the file
    file: Path

    def identity(self) -> dict[str, Any]:
        """What run.json keeps."""
        return {"sha256": self.sha256, "options": json.loads(self.options)}

    def __str__(self) -> str:
        """ "mirrored", or "mirrored(gain=2.0)"."""
        options = ", ".join(f"{key}={value}" for key, value in json.loads(self.options).items())
        return f"{self.name}({options})" if options else self.name


def cure_files(suites: Path) -> dict[str, list[Path]]:
    """The files of each cure by name: those beside the suites in `suites`, and the shipped ones.

    A hyphen in a name may be an underscore in its file's.
    """
    files: dict[str, list[Path]] = {}
    for folder in dict.fromkeys([suites.resolve(), SUITES_FOLDER]):
        for path in sorted((folder / "cures").glob("*.py")):
            files.setdefault(path.stem.replace("_", "-"), []).append(path)
    return files


def find_cure(name: str, options: dict[str, Any], suites: Path, where: str) -> CureSpec:
    """The cure called `name`; raises UserError, naming `where`, if it is not exactly one file."""
    files = cure_files(suites)
    found = files.get(name.replace("_", "-"), [])
    if not found:
        raise UserError(f"{where}: unknown cure {name!r}{did_you_mean(name, files)}")
    if len(found) > 1:
        raise UserError(f"{where}: two cures of the name {name!r}: {found[0]} and {found[1]}")
    try:
        digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{where}: {found[0]} cannot be read: {error.strerror}") from error
    try:
        text = json.dumps(options, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {name}: no options of a cure: {error}") from error
    return CureSpec(
        name=found[0].stem.replace("_", "-"), options=text, sha256=digest, file=found[0]
    )
