"""What a user, a file or a machine does is answered in one line, at once, and never a traceback."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resnet_bench.errors import UserError
from resnet_bench.records.files import read_json
from resnet_bench.suites.suite import find_experiment, load_suite
from tests.support.calls import Call

ROOT = Path(__file__).parents[2]
DIGITS = 5000  # more than Python turns into an integer


@pytest.mark.parametrize(
    "setting",
    [
        "iterations=1000000000000",
        "iterations=1" + 30 * "0",
        "iterations=1" + DIGITS * "0",
        "iterations=0x1" + DIGITS * "0",
        "batch_size=1" + 30 * "0",
        "drops=[1" + 30 * "0" + "]",
        "layers_at=[1" + 30 * "0" + "]",
        "border=1000000",
        "resize=1000000",
        "padding=1000000000000",
        "learning_rate=1e999",
        "drops=" + 900 * "[" + 900 * "]",
    ],
)
def test_a_number_that_no_machine_can_meet(setting: str, call: Call, tmp_path: Path) -> None:
    options = ("--results", str(tmp_path), "--device", "cpu", "--wandb", "disabled")
    answer = call("run", "smoke/plain-8", "--set", f"recipe.{setting}", *options)
    assert answer.code == 2
    assert answer.errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--workers", "1000000000"),
        ("--lanes", "1000000000"),
    ],
)
def test_an_option_that_no_machine_can_meet(option: str, value: str, call: Call) -> None:
    answer = call("sweep", "smoke", option, value)
    assert answer.code == 2
    assert f"Invalid value for '{option}'" in answer.errors


@pytest.mark.parametrize("seeds", ["", "0", "-3", "9-5", "5-9,", "1.5", "٣", f"7-{2**32}", "1,x"])
@pytest.mark.parametrize("command", ["sweep", "status"])
def test_seeds_that_are_none(command: str, seeds: str, call: Call) -> None:
    answer = call(command, "smoke", f"--seeds={seeds}")
    said = f"error: --seeds {seeds!r} are no seeds: write 3 for the first three, 5-9 or 0,3,7\n"
    assert (answer.code, answer.errors) == (2, said)


@pytest.mark.parametrize("seeds", ["10001", "1000000000", f"0-{2**32 - 1}", "0-5000,1-5000"])
def test_more_seeds_than_a_sweep_takes(seeds: str, call: Call) -> None:
    answer = call("sweep", "smoke", "--seeds", seeds)
    assert (answer.code, answer.errors) == (
        2,
        f"error: --seeds {seeds!r} are too many: 10,000 at most\n",
    )


def test_seeds_of_any_length_are_one_short_line(call: Call) -> None:
    answer = call("sweep", "smoke", "--seeds", DIGITS * "9")
    assert "are no seeds" in answer.errors
    assert len(answer.errors) < 200


GRID = "depths = [8]\nshortcuts = ['none']"


def suite_in(folder: Path, networks: str, before: str = "") -> Path:
    """A folder with a suite, `mine`."""
    recipe = "[recipe]\niterations = 1\nbatch_size = 8\n"
    text = f"{before}dataset = 'digits'\n{recipe}[networks]\n{networks}\n"
    (folder / "mine.toml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("networks", "before", "said"),
    [
        ("depths = [10004]\nshortcuts = ['none']", "", "depth: Input should be less than or equal"),
        (f"depths = [6{30 * '0'}2]\nshortcuts = ['none']", "", "depth: Input should be less than"),
        (f"{GRID}\nblock = {900 * '['}{900 * ']'}", "", "nested too deeply"),
        (f"{GRID}\n{'.'.join(2000 * ['a'])} = 1", "", "mine.toml: "),
        (f"depths = [{DIGITS * '9'}]\nshortcuts = ['none']", "", "not valid TOML: Exceeds the"),
        (GRID, f"#{2**20 * 'x'}\n", "too large for a suite: more than 1,048,576 bytes"),
        (f"{GRID}\n[experiments.{201 * 'x'}]\nlike = 'plain-8'", "", "too long, or one that is"),
    ],
)
def test_a_suite_file_of_any_depth_and_size(
    networks: str, before: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said) as raised:
        load_suite("mine", suite_in(tmp_path, networks, before))
    assert "\n" not in str(raised.value)


def test_names_that_are_no_folders() -> None:
    with pytest.raises(UserError, match="unknown suite"):
        load_suite(5000 * "x")
    drops = f"drops=[{','.join(map(str, range(1, 90)))}]"
    with pytest.raises(UserError, match="the name is too long for a folder"):
        find_experiment(f"digits/plain-20+{drops}")


def test_json_of_any_depth_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    for contents in (100_000 * "[", '{"a": ' * 100_000, "1" * DIGITS):
        path.write_text(contents)
        with pytest.raises(UserError, match=r"run\.json: damaged"):
            read_json(path)


def limited(*arguments: str, files: int = 0, size: int = 0, full: bool = False) -> tuple[int, str]:
    """(exit code, errors) of a command with few file handles, small files, a full disk for output.

    The errors are what it prints on stderr.
    """

    def limit() -> None:
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        if size:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    with Path("/dev/full" if full else os.devnull).open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=ROOT, stdout=output, stderr=subprocess.PIPE,
            text=True, preexec_fn=limit,
        )  # fmt: skip
    return done.returncode, done.stderr


RUN = ("resnet_bench", "run", "smoke/plain-8+iterations=30", "--device", "cpu", "--wandb")


def test_too_few_file_handles(tmp_path: Path) -> None:
    code, errors = limited(*RUN, "disabled", "--results", str(tmp_path), files=16)
    assert code == 2
    assert errors.splitlines()[-1] == "error: Too many open files"
    assert "Traceback" not in errors


def test_files_may_not_be_as_large_as_a_checkpoint(tmp_path: Path) -> None:
    code, errors = limited(*RUN, "disabled", "--results", str(tmp_path), size=20_000)
    assert code == 2
    assert errors.splitlines()[-1].endswith("checkpoint.pt: File too large")
    assert "Traceback" not in errors


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device is Linux's")
@pytest.mark.parametrize(
    "command",
    [
        ("resnet_bench", "list"),
        ("resnet_bench", "--help"),
        ("analysis.verdict", "digits", "--results", "results/reference"),
    ],
)
def test_output_to_a_full_disk(command: tuple[str, ...]) -> None:
    assert limited(*command, full=True) == (2, "error: No space left on device\n")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGHUP, 75)]
)
def test_a_signal_while_python_imports_is_no_traceback(number: signal.Signals, code: int) -> None:
    """As `python -m` imports a package: its name is not known yet."""
    # Under nohup the tests ignore SIGHUP, and so would this process.
    program = f"import signal; signal.signal({number}, signal.SIG_DFL); "
    program += "import sys; sys.argv = ['-m']; import resnet_bench, time; print(flush=True); "
    program += "time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (code, b"")
