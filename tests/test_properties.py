"""Whatever stands in a file or an option: an answer, or one line; never another exception."""

import contextlib
import io
import json
import shutil
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import load
from analysis.frames.notices import of_runs
from analysis.frames.witnesses import Witnesses
from resnet_bench import __main__ as command_line
from resnet_bench.commands.options import parse_duration
from resnet_bench.errors import UserError
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.network import NetworkSpec
from resnet_bench.suites.recipe import Recipe
from resnet_bench.suites.suite import find_experiment, load_suite
from tests.support.results import Options, seal, write_suite
from tests.support.witnesses import write_witness

# The same examples every time, as many as take seconds.
examples = settings(max_examples=50, derandomize=True, deadline=None, database=None)

numbers = st.one_of(
    st.integers(-(10**40), 10**40), st.floats(), st.sampled_from([0, 1, -1, 2**31, 2**63])
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=20))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
)
KEYS = [*Recipe.model_fields, *NetworkSpec.model_fields, "depths", "shortcuts", "like", "networks"]
SUITE = {
    "dataset": "digits",
    "recipe": {"iterations": 50, "batch_size": 64, "learning_rate": 0.02, "drops": [20]},
    "networks": {"depths": [8], "shortcuts": ["none", "A"]},
    "experiments": {"mine": {"like": "plain-8", "recipe": {"learning_rate": 0.5}}},
    "vary": {"learning_rate": [0.1, 0.2]},
}


def or_one_line(work: Callable[..., object], *arguments: object) -> None:
    """`work` may refuse its input, in a line."""
    with contextlib.suppress(UserError):
        work(*arguments)


def changed(draw: Any, contents: Any) -> Any:
    """`contents` with a value somewhere in it changed, removed or added."""
    if isinstance(contents, dict) and contents and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(contents)))
        return contents | {key: changed(draw, contents[key])}
    if isinstance(contents, dict) and contents:
        key = draw(st.sampled_from([*sorted(contents), *KEYS]) | st.text(max_size=8))
        without = {name: value for name, value in contents.items() if name != key}
        return without | draw(st.dictionaries(st.just(key), values, max_size=1))
    if isinstance(contents, list) and contents and draw(st.booleans()):
        place = draw(st.integers(0, len(contents) - 1))
        return [*contents[:place], changed(draw, contents[place]), *contents[place + 1 :]]
    return draw(values)


def as_toml(value: Any) -> str:
    """A value of TOML, tables in one line; what TOML lacks is left to be invalid."""
    if isinstance(value, dict):
        inside = ", ".join(f"{json.dumps(key)} = {as_toml(each)}" for key, each in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


@pytest.fixture(scope="module")
def suite(folder: Path) -> Path:
    """Runs of `smoke`, one of them partial, and a witness."""
    suite = write_suite(folder, "smoke", Options(partial={"plain-14/0": 0.9}))
    write_witness(suite, "plain-8-as-14", 0, 0.02, 0.3, {0.1: (0.5, 0.9)})
    return suite


@examples
@given(data=st.data())
def test_any_suite_file(data: st.DataObject, folder: Path) -> None:
    suites = folder / "suites"
    suites.mkdir(exist_ok=True)
    contents = SUITE | {(key := data.draw(st.sampled_from(sorted(SUITE)))): 0}
    contents[key] = changed(data.draw, SUITE[key])
    text = "\n".join(f"{json.dumps(key)} = {as_toml(contents[key])}" for key in contents).encode()
    if data.draw(st.integers(0, 9)) == 0:
        text = data.draw(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
    (suites / "mine.toml").write_bytes(text)
    or_one_line(load_suite, "mine", suites)


@examples
@given(
    text=st.text(alphabet=string.printable, max_size=60), key=st.sampled_from(KEYS), value=values
)
def test_any_setting_name_and_duration(text: str, key: str, value: Any) -> None:
    for setting in (f"recipe.{key}={as_toml(value)}", f"{key}={text}", text):
        or_one_line(find_experiment, "smoke/plain-8", (setting,))
    for name in (text, f"smoke/{text}", f"smoke/plain-8+{text}"):
        or_one_line(find_experiment, name)
    or_one_line(parse_duration, text)


def read_everything(suite: Path) -> None:
    """As figures, notices and `status` do."""
    frame = load.runs(suite)
    assert all("\n" not in notice for notice in of_runs(frame))
    assert Witnesses.of(frame).points.shape[0] <= 1
    RunDirectory(suite / "plain-8" / "seed-0").read_state({"seed": 0})


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize(
    "name",
    ["plain-8/seed-0/run.json", "plain-8/seed-0/summary.json", "plain-14/seed-0/run.json",
     "witness/plain-8-as-14/seed-0/witness.json"],
)  # fmt: skip
@settings(examples, max_examples=12)
@given(data=st.data())
def test_any_json_of_a_run(name: str, sealed: bool, data: st.DataObject, suite: Path) -> None:
    path = suite / name
    before = path.read_text()
    contents = changed(data.draw, json.loads(before))
    try:
        path.write_text(json.dumps(contents))
        if sealed and path.name == "run.json":  # as another program would
            seal(path.parent)
        or_one_line(read_everything, suite)
    finally:
        path.write_text(before)
        if path.name == "run.json" and (path.parent / "summary.json").exists():
            seal(path.parent)


@settings(examples, max_examples=20)
@given(data=st.data())
def test_any_csv_of_a_run(
    data: st.DataObject, suite: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = suite / "plain-14" / "seed-0" / "epochs.csv"  # of a partial run, which has no seal
    before = path.read_text()
    rows = [line.split(",") for line in before.splitlines()]
    for _ in range(data.draw(st.integers(1, 3))):
        row = data.draw(st.integers(0, len(rows) - 1))
        cell = data.draw(st.integers(0, len(rows[row]) - 1))
        rows[row][cell] = data.draw(st.text(max_size=30) | numbers.map(str))
    try:
        path.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8", errors="replace")
        or_one_line(read_everything, suite)
        path.write_bytes(data.draw(st.binary(max_size=300)))
        or_one_line(read_everything, suite)
        shutil.copy(path, path.with_name("layers.csv"))
        or_one_line(read_everything, suite)
    finally:
        path.write_text(before)
        path.with_name("layers.csv").unlink(missing_ok=True)


COMMANDS = (("list",), ("status",), ("export",), ("shapes",), ("seal",), ("default-suite",))
OPTIONS = ("--seed", "--results", "--set", "--only", "--input", "--device", "--suites", "--output")


@examples
@given(
    command=st.sampled_from(COMMANDS),
    words=st.lists(
        st.sampled_from([*OPTIONS, "smoke", "smoke/plain-8", "digits", "0", "-1", "1x2x3"])
        | st.text(max_size=12),
        max_size=4,
    ),
)
def test_any_words_on_the_command_line(
    command: tuple[str, ...], words: list[str], folder: Path
) -> None:
    words = [word.replace("\0", "") for word in words]  # no operating system passes that on
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RESNET_BENCH_RESULTS", str(folder))
        patch.setattr("sys.argv", ["resnet_bench", *command, *words])
        patch.setattr("sys.stdout", output)
        patch.setattr("sys.stderr", errors)
        with pytest.raises(SystemExit) as ended:
            command_line.main()
    assert ended.value.code in (0, 2, None), errors.getvalue()
    assert "Traceback" not in errors.getvalue()
