"""The seal of a run that has ended: the SHA-256 of its files, in summary.json; and witness.json's.

It shows what was changed after the run had written it, by a mistake or by a disk. It is no
signature: who changes a file on purpose can seal it again.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resnet_bench.errors import UserError
from resnet_bench.records.files import read, read_json, write_json

CHECKPOINT = "checkpoint.pt"  # may be deleted after the run: no number is read from it
SEALED = ("run.json", "epochs.csv", "layers.csv")


def new_seal(folder: Path, ended: dict[str, Any], *, checkpoint: bool = True) -> dict[str, str]:
    """SHA-256 by name: of the files that are in `folder` and, as "summary.json", of `ended`.

    `ended`: summary.json without its seal. Without `checkpoint` the checkpoint, which may be large,
    is left out.
    """
    names = (*SEALED, CHECKPOINT) if checkpoint else SEALED
    contents = {name: read(folder / name) for name in names}
    digests = {
        name: hashlib.sha256(each).hexdigest()
        for name, each in contents.items()
        if each is not None
    }
    return digests | {"summary.json": _digest(ended)}


def _digest(contents: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def write_sealed(path: Path, contents: dict[str, Any]) -> None:
    """Write a JSON file with a seal of its own."""
    write_json(path, contents | {"seal": {path.name: _digest(contents)}})


def read_sealed(path: Path) -> tuple[dict[str, Any], bool]:
    """What `write_sealed` wrote, and whether it has a seal: versions before wrote none.

    Raises UserError if the file is missing, or not what was written.
    """
    contents = read_json(path)
    if contents is None:
        raise UserError(f"{path} is missing")
    seal = contents.pop("seal", None)
    if seal is not None and seal != {path.name: _digest(contents)}:
        raise UserError(f"{path}: damaged: not what was written")
    return contents, seal is not None


def sealed(folder: Path, ended: dict[str, Any]) -> dict[str, Any]:
    """The contents of summary.json for the run in `folder`, which has `ended` so."""
    return ended | {"seal": new_seal(folder, ended)}


def broken(
    folder: Path, seal: dict[str, str], ended: dict[str, Any], *, checkpoint: bool
) -> list[str]:
    """What is not as `seal` says, in words: "epochs.csv is not what the run wrote"."""
    now = new_seal(folder, ended, checkpoint=checkpoint)
    then = seal if checkpoint else {name: seal[name] for name in seal if name != CHECKPOINT}
    return [
        f"{name} is not what the run wrote" if name in now else f"{name} is missing"
        for name in sorted(now.keys() | then.keys())
        if now.get(name) != then.get(name) and (name in now or name != CHECKPOINT)
    ]


def contradiction(record: Mapping[str, Any], final: Mapping[str, Any]) -> str:
    """How the last record, as a dictionary, is not the one in summary.json; "" if it is."""
    pairs = [(record[key], final.get(key)) for key in record]
    same = all(one == other or (one != one and other != other) for one, other in pairs)  # NaN
    if same and record.keys() == final.keys():
        return ""
    return f"its last record ({_at(record)}) is not that of its summary.json ({_at(final)})"


def _at(record: Mapping[str, Any]) -> str:
    """ "iteration 360", or "none" without a record"""
    return f"iteration {record['iteration']}" if "iteration" in record else "none"
