"""Runs whose files are then changed: their copies, and how to change them."""

import io
import json
import shutil
from pathlib import Path

import torch

from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment

BRIEF = "drops=[]+iterations=4+layers_at=[0,2]+train_images=128"
CPU = torch.device("cpu")


def run_of(network: str = "plain-8", seed: int = 0, changes: str = BRIEF) -> Run:
    return Run(find_experiment(f"smoke/{network}+{changes}"), seed)


RUN = run_of()
OTHERS = {
    "another seed": run_of(seed=1),
    "the residual twin": run_of("resnet-8-A"),
    "another learning rate": run_of(changes=f"{BRIEF}+learning_rate=0.5"),
}


def copied(source: Path, target: Path) -> RunDirectory:
    results = target / "results"
    shutil.copytree(RUN.directory(source), RUN.directory(results))
    return RunDirectory(RUN.directory(results))


def unseal(directory: RunDirectory) -> None:
    """As a version before left it."""
    summary = directory.summary()
    assert summary is not None
    directory.summary_json.write_text(json.dumps(summary.ended()))


def unmarked(checkpoint: bytes) -> bytes:
    """As a version before wrote it: without SHA-256, run.json and marks."""
    contents = torch.load(io.BytesIO(checkpoint), weights_only=True)
    del contents["description"], contents["marks"]
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    return buffer.getvalue()


def flipped(contents: bytes, bit: int) -> bytes:
    changed = bytearray(contents)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
