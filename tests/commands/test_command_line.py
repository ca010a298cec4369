"""The commands: what they print, how they answer mistakes, and what they do not import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from resnet_bench.commands.options import parse_duration
from resnet_bench.errors import UserError
from resnet_bench.records.run_directory import RunDirectory, Summary
from resnet_bench.tracking import environment
from tests.support.calls import Call

ROOT = Path(__file__).parents[2]


def test_list_names_suites_and_experiments_with_their_sizes(call: Call) -> None:
    suites = call("list")
    assert suites.code == 0
    assert "digits-3x" in suites.output
    cifar = call("list", "cifar10")
    assert "cifar10/resnet-56-A" in cifar.output
    assert "853,018" in cifar.output
    assert "125,485,696" in cifar.output
    assert "Source: He, Zhang, Ren, Sun 2015" in cifar.output


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["list", "digits"], ["status", "smoke"]]
)
def test_looking_around_imports_nothing_big(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from resnet_bench.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n"
        "    big = {'torch', 'wandb', 'seaborn', 'pandas', 'matplotlib', 'sklearn', 'numpy'}\n"
        "    print('imported:', sorted(big & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "imported: []"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "digit"], "error: unknown suite 'digit'; did you mean digits?"),
        (["sweep", "digit"], "error: unknown suite 'digit'; did you mean digits?"),
        (["status", "../x"], "error: unknown suite '../x'"),
        (["run", "digits/plain-65"], "did you mean digits/plain-56?"),
        (["run", "smoke/plain-8", "--set", "recipe.batch_size=0"], "batch_size: "),
        (["run", "smoke/plain-8", "--device", "cuda:7"], "'cuda:7' is not there"),
        (["run", "smoke/plain-8", "--device", "abacus"], "unknown device 'abacus'"),
        (["run", "smoke/plain-8", "--wandb", "maybe"], "use online, offline or disabled"),
        (["run", "smoke/plain-8", "--time-limit", "soon"], "'soon' is not a duration"),
        (["data", "cifar"], "unknown data set 'cifar'; did you mean cifar10?"),
        (["export", "smoke/plain-8", "--results", "nowhere"], "train the run first"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(call: Call, arguments: list[str], message: str) -> None:
    answer = call(*arguments)
    assert answer.code == 2
    assert message in answer.errors
    assert answer.errors.count("\n") == 1
    assert "Traceback" not in answer.errors


def test_usage_mistakes_have_code_2_too(call: Call) -> None:
    assert call("run").code == 2
    assert call("sweep", "smoke", "--seeds", "0").code == 2
    assert call("run", "smoke/plain-8", "--seed", "-1").code == 2


def test_results_that_cannot_be_written(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    target = str(tmp_path / "file")
    answer = call("run", "smoke/plain-8", "--wandb", "disabled", "--results", target)
    assert answer.code == 2
    assert "Traceback" not in answer.errors
    assert "error:" in answer.errors


def test_a_diverged_runs_weights_are_not_exported(call: Call, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "smoke" / "plain-8" / "seed-0")
    directory.create()
    directory.write_summary(Summary("diverged", 7, {}, 1.0))
    answer = call("export", "smoke/plain-8", "--results", str(tmp_path))
    assert answer.code == 2
    assert answer.errors == "error: smoke/plain-8/seed-0 diverged: its weights are not numbers\n"


def test_the_default_suite_says_why(call: Call) -> None:
    answer = call("default-suite", "--device", "cpu")
    assert answer.output == "digits\n"
    assert "No CUDA GPU" in answer.errors
    assert "SUITE=cifar10" in answer.errors


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("9m", 540), ("1.5h", 5400), ("540", 540)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    with pytest.raises(UserError):
        parse_duration(f"-{text}")


def test_exit_codes_of_a_sweep() -> None:
    import signal

    from resnet_bench.suites.experiment import Run
    from resnet_bench.suites.suite import find_experiment
    from resnet_bench.sweeps.progress import Outcome, Progress

    run = Run(find_experiment("smoke/plain-8"), 0)
    fine, bad = Progress(run, 30, "finished"), Progress(run, 7, "diverged")
    assert Outcome(ended=[fine]).exit_code() == 0
    assert Outcome(ended=[fine, bad]).exit_code() == 3
    assert "1 of 2 runs finished, 1 diverged" in Outcome(ended=[fine, bad]).in_words(2)
    assert Outcome(ended=[bad], mistakes=["x"]).exit_code() == 2
    assert Outcome(mistakes=["x"], crashes=["y"]).exit_code() == 1
    assert Outcome(out_of_time=True).exit_code() == 75
    assert Outcome(interrupted_by=signal.SIGTERM).exit_code() == 75
    assert Outcome(interrupted_by=signal.SIGINT, crashes=["y"]).exit_code() == 130


def test_a_data_set_that_cannot_be_had_is_one_message_before_training(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file, so that nothing is fetched; no run directory is made."""
    data, results = tmp_path / "data", tmp_path / "results"
    (data / "cifar-10-batches-py").mkdir(parents=True)
    (data / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"\x80\x02cut short")
    arguments = ["--device", "cpu", "--data-dir", str(data), "--results", str(results)]
    answer = call("run", "cifar10/plain-20", "--wandb", "disabled", *arguments)
    assert answer.code == 2
    assert answer.errors.startswith("error: ")
    assert "Traceback" not in answer.errors
    assert not results.exists()


def test_wandb_variables_are_read_from_a_file_and_the_environment_wins(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("WANDB_MODE=nonsense\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setenv("WANDB_MODE", "")
    monkeypatch.delenv("WANDB_MODE")
    arguments = ["run", "smoke/plain-8", "--lanes", "2", "--device", "cpu"]
    answer = call(*arguments, "--results", str(tmp_path / "results"))
    assert answer.code == 2
    assert "WANDB_MODE is 'nonsense'" in answer.errors
    (tmp_path / ".env").write_bytes(b"WANDB_MODE=\xff\n")
    answer = call(*arguments, "--results", str(tmp_path / "results"))
    assert answer.code == 2
    assert answer.errors.startswith("error: .env: cannot be read: 'utf-8' codec")
    (tmp_path / ".env").unlink()
    monkeypatch.setenv("WANDB_MODE", "disabled")
    answer = call(*arguments, "--results", str(tmp_path / "results"))
    assert "--graphs, --lanes, --norm and --speedups need a CUDA device" in answer.errors


@pytest.mark.parametrize("command", ["run", "export", "witness"])
def test_a_seed_has_32_bits(call: Call, command: str) -> None:
    """Of a longer one the first epochs would be another seed's later ones."""
    more = ["--depth", "14"] if command == "witness" else []
    answer = call(command, "smoke/plain-8", "--seed", str(2**32), *more)
    assert answer.code == 2
    assert "'--seed': Input should be less than or equal to 4294967295" in answer.errors


@pytest.mark.parametrize("arguments", [["list"], ["list", "digits"], ["status"]])
def test_a_reader_that_has_left_is_no_crash(arguments: list[str]) -> None:
    """`python -m resnet_bench list | head`, with a reader that is gone before the first line."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "resnet_bench", *arguments]
    with os.fdopen(writer, "w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_machine_without_dotenv_or_wandb_trains(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    for name in ("dotenv", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it raises ModuleNotFoundError
    run = ("run", "smoke/plain-8", "--set", "recipe.iterations=2", "--set", "recipe.drops=[]")
    trained = call(*run, "--device", "cpu", "--results", str(tmp_path))
    assert trained.code == 0, trained.errors
    assert "1 of 1 runs finished" in trained.output
    asked = call(*run, "--wandb", "offline", "--results", str(tmp_path))
    assert (asked.code, asked.errors.count("\n")) == (2, 1)
    assert "wandb is not installed" in asked.errors
    (tmp_path / ".env").write_text("WANDB_MODE=offline\n")
    reading = call(*run, "--results", str(tmp_path))
    assert reading.code == 2
    assert reading.errors == (
        "error: this needs the Python module dotenv, which is not installed\n"
    )


def test_only_takes_some_networks_of_a_suite(call: Call, tmp_path: Path) -> None:
    only = ("--only", "plain-8", "--only", "resnet-8-A", "--results", str(tmp_path))
    swept = call("sweep", "smoke", *only, "--device", "cpu", "--wandb", "disabled")
    assert swept.code == 0, swept.errors
    assert "2 of 2 runs finished" in swept.output
    assert "2 of 2 runs to train. Time: seconds on one CPU core." in swept.errors
    assert "to train" not in call("sweep", "smoke", *only, "--device", "cpu").errors
    assert sorted(p.name for p in (tmp_path / "smoke").iterdir()) == ["plain-8", "resnet-8-A"]
    lines = call("status", "smoke", *only).output.splitlines()
    assert [line.split()[0] for line in lines] == ["plain-8", "resnet-8-A"]
    wrong = call("sweep", "smoke", "--only", "plain-9")
    assert (wrong.code, wrong.errors) == (
        2,
        "error: unknown experiment 'smoke/plain-9'; did you mean smoke/plain-8?\n",
    )
    assert call("status", "--only", "plain-8").code == 2


def test_a_run_is_done_again_and_the_old_one_kept(call: Call, tmp_path: Path) -> None:
    run = ("run", "smoke/plain-8", "--set", "recipe.iterations=2", "--set", "recipe.drops=[]")
    options = ("--device", "cpu", "--wandb", "disabled", "--results", str(tmp_path))
    nothing = call(*run, *options, "--redo")
    assert (nothing.code, nothing.errors.count("\n")) == (2, 1)
    assert "there is no run to set aside" in nothing.errors
    assert call(*run, *options).code == 0
    (folder,) = (tmp_path / "smoke").glob("plain-8*/seed-0")
    first = RunDirectory(folder)
    for number in (1, 2):
        before = first.description()
        again = call(*run, *options, "--redo")
        assert again.code == 0, again.errors
        kept = tmp_path / "smoke" / "aside" / f"{folder.parent.name}-seed-0-{number}"
        assert RunDirectory(kept).description() == before
        after = first.description()
        assert before is not None
        assert after is not None
        assert after["wandb_id"] != before["wandb_id"]
        assert after["identity"] == before["identity"]
    assert call("status", "--results", str(tmp_path)).output.split() == ["smoke", "1", "finished"]
