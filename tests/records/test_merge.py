"""Folders of results made one: what is taken, what is refused, what is never replaced."""

import shutil
from pathlib import Path

import pytest

from resnet_bench.records import merge as merging
from resnet_bench.records.lock import locked
from resnet_bench.records.run_directory import RunDirectory
from tests.support.calls import Answer, Call
from tests.support.results import Options, edit_description, write_suite

RUNS = 6  # of smoke, for each seed


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """Results with seed 0 of smoke; a run of seed 1 has begun."""
    write_suite(tmp_path / "one", "smoke", Options(partial={"plain-8/1": 0.5}, seeds=(0, 1)))
    for path in (tmp_path / "one" / "smoke").glob("*/seed-1"):
        if path.parent.name != "plain-8":
            shutil.rmtree(path)
    return tmp_path / "one"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Results with seeds 5 and 6, and a witness that was trained on from."""
    folder = write_suite(tmp_path / "other", "smoke", Options(seeds=(5, 6)))
    witness = folder / "witness" / "plain-8-as-14" / "seed-5"
    shutil.copytree(folder / "plain-14" / "seed-5", witness / "learning_rate=0.1")
    (witness / "witness.json").write_text("{}")
    return tmp_path / "other"


def merge(call: Call, *folders: Path) -> Answer:
    return call("merge", *map(str, folders))


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_the_union_of_two_folders_is_every_ended_run(
    call: Call, one: Path, other: Path, tmp_path: Path
) -> None:
    checkpoint = other / "smoke" / "plain-8" / "seed-5" / "checkpoint.pt"
    checkpoint.write_bytes(b"weights")
    edit_description(checkpoint.parent)  # seals it anew
    into = tmp_path / "into"
    answer = merge(call, one, other, into)
    assert answer.output.splitlines() == [
        f"{one}/smoke: 6 taken, 0 there before, 1 not ended, 0 refused",
        f"{other}/smoke: 14 taken, 0 there before, 0 not ended, 0 refused",
    ]
    begun = {name for name in files(one) if "plain-8/seed-1" in name}
    assert begun
    assert files(into) == {k: v for k, v in (files(one) | files(other)).items() if k not in begun}
    again = merge(call, one, other, into)
    assert (again.code, again.output.count("0 taken, ")) == (0, 2)
    assert "6 there before" in again.output


def test_the_same_run_with_other_bits_is_refused_and_stays(
    call: Call, one: Path, tmp_path: Path
) -> None:
    into = tmp_path / "into"
    write_suite(into, "smoke")
    for folder in (into / "smoke").iterdir():
        if folder.name != "plain-8":
            shutil.rmtree(folder)
    edit_description(into / "smoke" / "plain-8" / "seed-0", threads=2)
    before = files(into)
    answer = merge(call, one, into)
    assert answer.code == 2
    assert "5 taken, 0 there before, 1 not ended, 1 refused" in answer.output
    where = "smoke/plain-8/seed-0"
    said = f"has another run.json and summary.json than {one / where}: left as it is"
    assert answer.errors == f"error: {into / where} {said}\n"
    assert before.items() <= files(into).items()
    assert len(files(into)) == len(before) + 5 * 3


def test_a_damaged_run_is_named_and_not_taken(call: Call, one: Path, tmp_path: Path) -> None:
    damaged = one / "smoke" / "resnet-8-A" / "seed-0"
    (damaged / "epochs.csv").write_bytes((damaged / "epochs.csv").read_bytes()[:-20])
    answer = merge(call, one, tmp_path / "into")
    assert answer.code == 2
    assert "5 taken" in answer.output
    assert f"{damaged}: damaged: epochs.csv is not what the run wrote" in answer.errors
    assert not (tmp_path / "into" / "smoke" / "resnet-8-A" / "seed-0" / "summary.json").exists()


@pytest.mark.parametrize("written", [0, 1, 2, 4])
def test_an_interrupted_merge_is_no_ended_run_and_goes_on(
    written: int, call: Call, one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = tmp_path / "into"
    left = [written]

    def write(path: Path, contents: bytes) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        path.write_bytes(contents)

    with monkeypatch.context() as patch:
        patch.setattr(merging, "write_atomically", write)
        assert merge(call, one, into).code != 0
    ended = [path.parent for path in into.rglob("summary.json")]
    assert len(ended) == written // 3
    assert all(RunDirectory(path).status() == "finished" for path in ended)
    answer = merge(call, one, into)
    assert answer.code == 0
    assert f"{RUNS - written // 3} taken, {written // 3} there before" in answer.output


def test_a_run_that_a_process_trains_there_is_refused(
    call: Call, one: Path, tmp_path: Path
) -> None:
    held = RunDirectory(tmp_path / "into" / "smoke" / "plain-8" / "seed-0")
    held.create()
    with locked(held):
        answer = merge(call, one, tmp_path / "into")
    assert answer.code == 2
    assert answer.errors == f"error: {held.path}: another process is training this run\n"
    assert list(files(held.path)) == []


def test_what_is_no_folder_of_results_is_one_line(call: Call, one: Path, tmp_path: Path) -> None:
    answer = merge(call, one / "smoke", tmp_path / "into")
    said = f"{one / 'smoke'} is no folder of results, with a folder a suite; that is {one}"
    assert (answer.code, answer.errors) == (2, f"error: {said}\n")
    assert merge(call, tmp_path / "gone", tmp_path / "into").code == 2
    assert not (tmp_path / "into").exists()
