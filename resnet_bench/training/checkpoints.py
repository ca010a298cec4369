"""Checkpoints: a training state on disk, from which training resumes bit for bit."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from resnet_bench.errors import UserError
from resnet_bench.records.files import write_atomically
from resnet_bench.training.state import Totals, TrainingState

# What is raised when a file is damaged, no checkpoint, or one of another version.
DAMAGE = (
    RuntimeError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    EOFError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)
PLAIN_FIELDS = ("iteration", "records", "interval_seconds", "seconds")


def save(state: TrainingState, path: Path) -> None:
    """Write `state` to `path`, atomically: a kill leaves the old checkpoint or the new one."""
    contents: dict[str, Any] = {name: getattr(state, name) for name in PLAIN_FIELDS}
    contents["network"] = state.network.state_dict()
    contents["optimizer"] = state.optimizer.state_dict()
    contents["totals"] = vars(state.totals)
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    write_atomically(path, buffer.getvalue())


def load(state: TrainingState, path: Path) -> None:
    """Load the checkpoint at `path` into `state`, in place.

    Raises UserError if the file is damaged or belongs to another network.
    """
    try:
        contents = read(path, state.device)
        state.network.load_state_dict(contents["network"])
        _load_optimizer(state.optimizer, contents["optimizer"])
        _load_totals(state.totals, contents["totals"])
        for name in PLAIN_FIELDS:
            setattr(state, name, type(getattr(state, name))(contents[name]))
        state.diverged_at = int(state.totals.first_bad.item()) or None
    except DAMAGE as error:
        raise UserError(f"{path}: damaged, or of another version; delete it to restart") from error


def read(path: Path, device: torch.device | str) -> dict[str, Any]:
    """The contents of a checkpoint; raises one of `DAMAGE` for any other file.

    Raises UserError if the file cannot be read, which is no reason to delete it.
    """
    try:
        with zipfile.ZipFile(path) as file:  # its checksums, which torch.load does not look at
            if torn := file.testzip():
                raise ValueError(f"{torn} is not what was written")
        state = torch.load(path, map_location=device, weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if not isinstance(state, dict):
        raise ValueError("another thing than a checkpoint")
    return state


def export_weights(checkpoint: Path, output: Path) -> int:
    """Write the network's state dict in `checkpoint` to `output`; return its iteration.

    Raises UserError if it cannot.
    """
    if not checkpoint.exists():
        raise UserError(f"{checkpoint} is not there; train the run first")
    try:
        state = read(checkpoint, "cpu")
        buffer = io.BytesIO()
        torch.save(state["network"], buffer)
        iteration = int(state["iteration"])
    except DAMAGE as error:
        raise UserError(f"{checkpoint}: damaged, or of another version") from error
    write_atomically(output, buffer.getvalue())
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
