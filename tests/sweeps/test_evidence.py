"""What a run leaves cannot be changed, swapped or lost without a word."""

import dataclasses
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from analysis import load
from resnet_bench.errors import UserError
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.sweeps import open_run, progress
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress
from resnet_bench.tracking.tracker import Tracker
from resnet_bench.training import checkpoints
from resnet_bench.witness.construction import trained_state
from tests.support.calls import Call
from tests.support.runs_on_disk import assert_same, stop_at

pytestmark = pytest.mark.usefixtures("few_images")
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


@pytest.fixture(scope="module")
def trained(few_images: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with `RUN` and `OTHERS`, finished."""
    results = tmp_path_factory.mktemp("trained")
    for run in (RUN, *OTHERS.values()):
        run_group([run], Machine(results, "cpu"))
    return results


@pytest.fixture(scope="module")
def begun(few_images: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same results, stopped at iteration 3; there are two checkpoints."""
    results = tmp_path_factory.mktemp("begun")
    for run in (RUN, *OTHERS.values()):
        run_group([run], Machine(results, "cpu", checkpoint_seconds=0.0), stop_at(3))
    return results


@pytest.fixture
def finished(trained: Path, tmp_path: Path) -> RunDirectory:
    """`RUN` in results of the test's own."""
    return copied(trained, tmp_path)


@pytest.fixture
def partial(begun: Path, tmp_path: Path) -> RunDirectory:
    return copied(begun, tmp_path)


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
    """As a version before wrote it: without SHA-256, identity and marks."""
    contents = torch.load(io.BytesIO(checkpoint), weights_only=True)
    del contents["identity"], contents["marks"]
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    return buffer.getvalue()


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


def flipped(contents: bytes, bit: int) -> bytes:
    changed = bytearray(contents)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


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


def digit(text: str) -> str:
    """Another digit in the first row that was written."""
    header, first, rest = text.split("\n", 2)
    place = max(i for i, letter in enumerate(first) if letter.isdigit())
    other = str((int(first[place]) + 1) % 10)
    return f"{header}\n{first[:place]}{other}{first[place + 1 :]}\n{rest}"


def doubled(text: str) -> str:
    header, rest = text.split("\n", 1)
    return f"{header}\n{rest}{rest}"


def without_first(text: str) -> str:
    header, _, rest = text.split("\n", 2)
    return f"{header}\n{rest}"


CHANGES: dict[str, Callable[[str], str]] = {
    "a digit": digit,
    "rows twice": doubled,
    "without the first row": without_first,
    "without rows": lambda text: text.split("\n", 1)[0] + "\n",
    "empty": lambda text: "",
    "nan": lambda text: text.replace("0.", "nan", 1),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["epochs.csv", "layers.csv"])
def test_a_partial_runs_rows_are_those_before_its_checkpoint(
    name: str, change: str, partial: RunDirectory, trained: Path, machine: Machine
) -> None:
    path = partial.path / name
    path.write_text(CHANGES[change](path.read_text()))
    try:
        run_group([RUN], machine)
    except UserError as error:
        assert name in str(error)  # noqa: PT017
        assert partial.status() == "partial"
    else:  # rows after those of the checkpoint, which are cut
        assert change == "rows twice"
        assert_same(RUN, machine, Machine(trained, "cpu"))
        expected = RUN.directory(trained) / name
        assert name == "epochs.csv" or path.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("name", ["epochs.csv", "layers.csv"])
def test_a_run_does_not_finish_without_what_it_wrote(name: str, machine: Machine) -> None:
    directory = RunDirectory(RUN.directory(machine.results))

    def removed(progresses: Sequence[Progress]) -> bool:
        if progresses[0].iteration == 3:
            (directory.path / name).unlink()
        return True

    with pytest.raises(UserError, match=f"{name}: is not what the run wrote"):
        run_group([RUN], machine, removed)
    assert directory.status() == "partial"


@pytest.mark.parametrize("name", ["run.json", "epochs.csv", "layers.csv", "summary.json"])
def test_no_byte_of_a_finished_runs_files_changes_unseen(
    name: str, finished: RunDirectory, trained: Path
) -> None:
    path, expected = finished.path / name, finished.summary()
    whole = path.read_bytes()
    every = max(1, len(whole) // 150)
    damaged = [flipped(whole, 8 * place + place % 8) for place in range(0, len(whole), every)]
    damaged += [whole[: len(whole) // 2], b"", whole + whole, whole[1:]]
    damaged += [(run.directory(trained) / name).read_bytes() for run in OTHERS.values()]
    silent = []
    for contents in damaged:
        path.write_bytes(contents)
        try:
            summary, _ = finished.read_state(RUN.identity())
        except UserError:
            continue
        if name != "summary.json" or summary != expected:  # 1e-05 may be 1E-05
            silent.append(contents)
    assert silent == []


@pytest.mark.parametrize("name", ["run.json", "epochs.csv", "layers.csv"])
def test_a_damaged_run_is_named_by_all_who_read_it(
    name: str, finished: RunDirectory, call: Call
) -> None:
    path, results = finished.path / name, finished.path.parents[2]
    path.write_bytes(path.read_bytes() + b"\n")
    said = f"damaged: {name} is not what the run wrote"
    assert said in call("status", "smoke", "--results", str(results)).output
    before = {each: each.read_bytes() for each in finished.path.iterdir()}
    name_and_folder = (RUN.experiment.name, "--results", str(results), "--wandb", "disabled")
    for command in (("run", *name_and_folder), ("witness", *name_and_folder, "--depth", "14")):
        answer = call(*command)
        assert answer.code == 2
        assert said in answer.errors
    assert said in call("export", RUN.experiment.name, "--results", str(results)).errors
    assert {each: each.read_bytes() for each in finished.path.iterdir()} == before
    (run,) = load.runs(results / "smoke").query("status == 'damaged'").to_dict("records")
    assert run["problem"].startswith(said)


def test_a_run_that_ends_between_the_look_and_the_lock_is_left_alone(
    finished: RunDirectory, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in finished.path.iterdir()}
    looks = iter([lambda *_: None, progress.finished])
    monkeypatch.setattr(open_run, "finished", lambda *arguments: next(looks)(*arguments))
    (end,) = run_group([RUN], machine)
    assert end.status == "finished"
    assert {path: path.read_bytes() for path in finished.path.iterdir()} == before


def test_the_mirror_has_ended_before_the_run_counts_as_done(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody opens a run again that is done, so that its copy would stay without its end."""
    ends: list[tuple[Summary | None, bool]] = []
    directory = RunDirectory(RUN.directory(machine.results))

    class Noted(Tracker):
        def finish(self, summary: Summary | None) -> None:
            ends.append((summary, directory.summary_json.exists()))

    monkeypatch.setattr(open_run, "start_tracking", lambda *_, **__: Noted())
    run_group([RUN], machine)
    assert ends == [(directory.summary(), False)]


def test_what_a_killed_process_left_half_written_goes_with_the_next(
    partial: RunDirectory, machine: Machine
) -> None:
    (partial.path / ".0123456789abcdef.tmp").write_bytes(b"half")
    run_group([RUN], machine)
    assert not list(partial.path.glob("*.tmp"))


def test_an_unsealed_run_is_marked_and_can_be_sealed_once(
    finished: RunDirectory, call: Call
) -> None:
    results = finished.path.parents[2]
    unseal(finished)
    before = {path: path.read_bytes() for path in finished.path.iterdir()}
    line = call("status", "smoke", "--results", str(results)).output.splitlines()[-1]
    assert line.endswith("iteration 4 of 4, not sealed")
    assert call("seal", str(results)).output == "1 of 1 runs sealed, 0 were before\n"
    assert call("seal", str(results)).output == "0 of 1 runs sealed, 1 were before\n"
    line = call("status", "smoke", "--results", str(results)).output.splitlines()[-1]
    assert line.endswith("iteration 4 of 4")
    changed = [path for path in before if path.read_bytes() != before[path]]
    assert changed == [finished.summary_json]
    finished.epochs_csv.write_text("")
    answer = call("seal", str(results))
    assert (answer.code, answer.output) == (2, "0 of 1 runs sealed, 0 were before\n")
    assert "damaged: epochs.csv is not what the run wrote" in answer.errors


def test_a_run_whose_files_contradict_each_other_is_not_sealed(
    finished: RunDirectory, call: Call
) -> None:
    unseal(finished)
    summary = finished.summary()
    assert summary is not None
    final = summary.final | {"test_error": 0.25}
    finished.summary_json.write_text(json.dumps(replace(summary, final=final).ended()))
    answer = call("seal", str(finished.path))
    assert answer.code == 2
    assert "is not that of its summary.json" in answer.errors
    again = finished.summary()
    assert again is not None
    assert again.seal is None
    assert dataclasses.asdict(again)["final"]["test_error"] == 0.25
