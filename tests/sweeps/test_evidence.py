"""What a run leaves cannot be changed, swapped or lost without a word."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from analysis import load
from resnet_bench.errors import UserError
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.sweeps import open_run, progress
from resnet_bench.sweeps.group import run_group
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.progress import Progress
from resnet_bench.tracking.tracker import Tracker
from tests.support.calls import Call
from tests.support.evidence import (
    OTHERS,
    RUN,
    flipped,
    unseal,
)
from tests.support.runs_on_disk import assert_same

pytestmark = pytest.mark.usefixtures("few_images")


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


@pytest.mark.parametrize("known", [True, False])
def test_what_run_json_says_of_the_attempts_before_is_what_the_checkpoint_says(
    known: bool, partial: RunDirectory, machine: Machine
) -> None:
    before = partial.description()
    assert before is not None
    edited = json.loads(json.dumps(before))
    edited["attempts"][0] |= {"processor": "another", "seconds": 1e9, "commit": "0" * 40}
    edited["wandb_id"] = "another"
    partial.write_description(edited) if known else partial.run_json.unlink()
    run_group([RUN], machine)
    after = partial.description()
    assert after is not None
    assert after["attempts"][:-1] == before["attempts"]
    assert after["wandb_id"] == before["wandb_id"]


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
    assert call("seal", str(results)).output == "1 of 1 sealed, 0 were before\n"
    assert call("seal", str(results)).output == "0 of 1 sealed, 1 were before\n"
    line = call("status", "smoke", "--results", str(results)).output.splitlines()[-1]
    assert line.endswith("iteration 4 of 4")
    changed = [path for path in before if path.read_bytes() != before[path]]
    assert changed == [finished.summary_json]
    finished.epochs_csv.write_text("")
    answer = call("seal", str(results))
    assert (answer.code, answer.output) == (2, "0 of 1 sealed, 0 were before\n")
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
