"""Checkpoints: a training state on disk, from which training resumes bit for bit.

A checkpoint is what torch.save writes, a zip; its comment is the SHA-256 of the bytes before it.
Inside are run.json, so that it is known whose it is, and what its CSVs held. Versions before wrote
the identity alone, or neither.
"""

import hashlib
import io
import pickle
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from resnet_bench.errors import UserError
from resnet_bench.records import files
from resnet_bench.records.csv_file import Mark
from resnet_bench.records.identity import differences, of_today
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.training.precision import wait_for
from resnet_bench.training.state import Totals, TrainingState

# What is raised when a file is damaged, no checkpoint, or one of another version.
DAMAGE = (
    RuntimeError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)
PLAIN_FIELDS = ("iteration", "records", "interval_seconds", "seconds")
DIGITS = 64  # of a SHA-256
END_OF_ZIP = b"PK\x05\x06"  # 22 bytes from the end, if there is no comment


class DamagedError(UserError):
    """A checkpoint that cannot be used, whoever's it is."""


def save(
    state: TrainingState,
    path: Path,
    *,
    description: dict[str, Any] | None = None,
    marks: dict[str, Mark] | None = None,
    keep: Path | None = None,
) -> None:
    """Write `state` to `path`, atomically: a kill leaves the old checkpoint or the new one.

    `description` is run.json, `marks` are those of the CSVs, by name. The old one stays at `keep`.
    """
    wait_for(state.device)
    contents: dict[str, Any] = {name: getattr(state, name) for name in PLAIN_FIELDS}
    contents |= {"network": state.network.state_dict(), "optimizer": state.optimizer.state_dict()}
    contents |= {"totals": vars(state.totals), "description": description, "marks": marks}
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    buffer.seek(-2, io.SEEK_END)
    buffer.write(DIGITS.to_bytes(2, "little"))  # of the comment
    buffer.write(hashlib.sha256(buffer.getbuffer()).hexdigest().encode())
    files.write_atomically(path, buffer.getvalue(), keep)


def load(
    state: TrainingState,
    path: Path,
    identity: dict[str, Any] | None = None,
    iteration: int | None = None,
) -> dict[str, Any]:
    """Load the checkpoint at `path` into `state`, in place; return all that is in it.

    Raises UserError as `read` does.
    """
    contents = read(path, state.device, identity, iteration)
    try:
        state.network.load_state_dict(contents["network"])
        _load_optimizer(state.optimizer, contents["optimizer"])
        _load_totals(state.totals, contents["totals"])
        for name in PLAIN_FIELDS:
            setattr(state, name, type(getattr(state, name))(contents[name]))
        state.diverged_at = int(state.totals.first_bad.item()) or None
    except DAMAGE as error:
        raise _damaged(path) from error
    return contents


def load_newest(
    state: TrainingState, directory: RunDirectory, identity: dict[str, Any]
) -> dict[str, Any]:
    """`load` the last checkpoint; with a warning the one before if the last one is damaged."""
    newest, before = directory.checkpoint, directory.checkpoint_before
    try:
        if newest.exists() or not before.exists():
            return load(state, newest, identity)
    except DamagedError as error:
        if not before.exists():
            raise
        print(f"warning: {error}: going on from the one before it", file=sys.stderr)
    contents = load(state, before, identity)
    with files.writing(newest):
        before.replace(newest)
    return contents


def read(
    path: Path,
    device: torch.device | str,
    identity: dict[str, Any] | None = None,
    iteration: int | None = None,
) -> dict[str, Any]:
    """The contents of a checkpoint.

    Raises UserError if the file cannot be read, is damaged, which is a DamagedError, or is not of
    the run of `identity`, or of its `iteration`, where these are given.
    """
    file = files.read(path)
    if file is None:
        raise UserError(f"{path} is not there; train the run first")
    try:
        _check_bytes(file)
        contents = torch.load(io.BytesIO(file), map_location=device, weights_only=True)
        there = (contents.get("description") or contents).get("identity")
        differing = there and identity and differences(of_today(there), identity)
        if iteration is not None and contents["iteration"] != iteration and not differing:
            differing = f"it is of iteration {contents['iteration']}, not {iteration}"
    except DAMAGE as error:
        raise _damaged(path) from error
    if differing:
        raise UserError(f"{path} is not this run's checkpoint ({differing})")
    return contents


def _check_bytes(file: bytes) -> None:
    """Raises ValueError or zipfile's errors unless the bytes are those that were written."""
    if hashlib.sha256(memoryview(file)[:-DIGITS]).hexdigest().encode() == file[-DIGITS:]:
        return
    if file[-22:-18] != END_OF_ZIP:
        raise ValueError("not what was written")
    # A version before wrote no SHA-256: the zip's own checksums, and the fields they leave out.
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        odd = [
            info.filename
            for info in archive.infolist()
            if info.external_attr or info.compress_type or info.file_size != info.compress_size
        ]
        if torn := (odd or archive.testzip()):
            raise ValueError(f"{torn} is not what was written")


def verify(path: Path) -> None:
    """Raises UserError unless the bytes at `path` are those of the checkpoint that was saved."""
    try:
        _check_bytes(files.read(path) or b"")
    except DAMAGE as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> DamagedError:
    return DamagedError(f"{path}: damaged, or of another version; delete it to restart")


def export_weights(
    checkpoint: Path, output: Path, identity: dict[str, Any], iteration: int | None = None
) -> int:
    """Write the network's state dict in `checkpoint` to `output`; return its iteration.

    Raises UserError as `read` does, or if it cannot write.
    """
    state = read(checkpoint, "cpu", identity, iteration)
    try:
        buffer = io.BytesIO()
        torch.save(state["network"], buffer)
        iteration = int(state["iteration"])
    except DAMAGE as error:
        raise _damaged(checkpoint) from error
    files.write_atomically(output, buffer.getvalue())
    return iteration


def _load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load `state`; Adam's `capturable` depends on the device and stays that of `optimizer`."""
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        if "capturable" in group:
            saved["capturable"] = group["capturable"]
    optimizer.load_state_dict(state)


def _load_totals(totals: Totals, values: dict[str, torch.Tensor]) -> None:
    for name, tensor in vars(totals).items():
        tensor.copy_(values[name])
