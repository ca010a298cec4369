"""A checkpoint that is another run's, or damaged, trains nothing and gives no weights."""

import io
import random
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from resnet_bench.errors import UserError
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.training import checkpoints
from resnet_bench.witness.construction import trained_state
from tests.support.calls import Call
from tests.support.evidence import CPU, OTHERS, RUN, flipped, unmarked, unseal
from tests.support.runs_on_disk import assert_same

pytestmark = pytest.mark.usefixtures("few_images")


@pytest.mark.parametrize("whose", OTHERS)
def test_a_run_does_not_go_on_from_another_ones_checkpoint(
    whose: str, begun: Path, partial: RunDirectory, machine: Machine
) -> None:
    other = RunDirectory(OTHERS[whose].directory(begun)).checkpoint
    shutil.copy(other, partial.checkpoint)
    before = partial.epochs_csv.read_bytes()
    with pytest.raises(UserError, match=r"is not this run's checkpoint \(.* there, .* now"):
        run_group([RUN], machine)
    assert partial.epochs_csv.read_bytes() == before
    with pytest.raises(UserError, match="is not this run's checkpoint"):
        checkpoints.export_weights(other, partial.path / "weights.pt", RUN.identity())


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("whose", [*OTHERS, "an older one"])
def test_weights_are_those_that_the_run_ended_with(
    whose: str, sealed: bool, trained: Path, begun: Path, finished: RunDirectory, call: Call
) -> None:
    of_others = {name: run.directory(trained) for name, run in OTHERS.items()}
    folder = (of_others | {"an older one": RUN.directory(begun)})[whose]
    shutil.copy(folder / "checkpoint.pt", finished.checkpoint)
    if not sealed:
        unseal(finished)
    results = finished.path.parents[2]
    said = "checkpoint.pt is not what the run wrote" if sealed else "is not this run's checkpoint"
    answer = call("export", RUN.experiment.name, "--results", str(results))
    assert answer.code == 2
    assert said in answer.errors
    assert not (finished.path / "weights.pt").exists()
    with pytest.raises(UserError, match=said):
        trained_state(RUN, Machine(results, "cpu"), CPU)


def test_no_bit_of_a_checkpoint_can_flip_unseen(partial: RunDirectory, tmp_path: Path) -> None:
    whole = partial.checkpoint.read_bytes()
    path = tmp_path / "checkpoint.pt"
    bits = random.Random(0).sample(range(8 * len(whole)), 200)
    bits += range(8 * (len(whole) - 100), 8 * len(whole))  # the zip's end and the SHA-256
    for bit in bits:
        path.write_bytes(flipped(whole, bit))
        with pytest.raises(UserError, match=r"checkpoint\.pt: damaged"):
            checkpoints.verify(path)
    with pytest.raises(UserError, match=r"checkpoint\.pt: damaged"):
        checkpoints.read(path, CPU, RUN.identity())


def test_no_bit_of_an_earlier_versions_directory_flips_to_other_weights(
    partial: RunDirectory, tmp_path: Path
) -> None:
    """torch.load takes an entry with a changed attribute for a folder, and reads no bytes of it."""
    whole = unmarked(partial.checkpoint.read_bytes())
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        start = archive.start_dir
    expected = torch.load(io.BytesIO(whole), weights_only=True)["network"]
    path = tmp_path / "checkpoint.pt"
    attributes = range(start, len(whole) - 46, 1)
    places = [i + 38 for i in attributes if whole[i : i + 4] == b"PK\x01\x02"]
    assert len(places) > 20
    bits = [8 * place + bit for place in places for bit in range(32)]
    bits += random.Random(0).sample(range(8 * start, 8 * len(whole)), 200)
    for bit in random.Random(1).sample(bits, 300):
        path.write_bytes(flipped(whole, bit))
        with suppress(UserError):
            found = checkpoints.read(path, CPU, RUN.identity())["network"]
            assert all(torch.equal(found[name], expected[name]) for name in expected)
    for place in places:
        path.write_bytes(flipped(whole, 8 * place + 4))
        with pytest.raises(UserError, match=r"checkpoint\.pt: damaged"):
            checkpoints.read(path, CPU, RUN.identity())


def test_a_run_goes_on_from_an_earlier_versions_checkpoint_to_the_same_bits(
    partial: RunDirectory, trained: Path, machine: Machine
) -> None:
    partial.checkpoint.write_bytes(unmarked(partial.checkpoint.read_bytes()))
    partial.checkpoint_before.unlink()
    run_group([RUN], machine)
    assert_same(RUN, machine, Machine(trained, "cpu"))
    assert partial.layers.rows() == RunDirectory(RUN.directory(trained)).layers.rows()


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    damage: str,
    partial: RunDirectory,
    trained: Path,
    machine: Machine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = partial.checkpoint.read_bytes()
    partial.checkpoint.write_bytes(flipped(whole, 4000) if damage == "flip" else whole[:999])
    if damage == "remove":  # as a kill does between two renamings
        partial.checkpoint.unlink()
    (end,) = run_group([RUN], machine)
    assert end.status == "finished"
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == (damage != "remove")
    assert all(line.endswith("going on from the one before it") for line in warnings)
    assert_same(RUN, machine, Machine(trained, "cpu"))
    assert not partial.checkpoint_before.exists()


def test_two_damaged_checkpoints_are_one_line(partial: RunDirectory, machine: Machine) -> None:
    for path in (partial.checkpoint, partial.checkpoint_before):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"damaged, or of another version; delete it"):
        run_group([RUN], machine)
