"""The W&B mirror without a server: what an offline run holds, read back by W&B itself."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from resnet_bench.errors import UserError
from resnet_bench.records.epochs import COLUMNS
from resnet_bench.records.layers import LayersFile
from resnet_bench.records.run_directory import RunDirectory
from resnet_bench.suites.experiment import Run
from resnet_bench.suites.suite import find_experiment
from resnet_bench.tracking import environment, thread
from resnet_bench.tracking.environment import choose_mode, settings_for
from resnet_bench.tracking.metrics import LAYER_METRICS, LAYERS_ITERATION, METRICS
from resnet_bench.tracking.thread import set_warning_sink
from resnet_bench.tracking.tracker import new_run_id
from tests.support.wandb_runs import (
    ending,
    inspect,
    layers,
    of_type,
    record,
    rows,
    run_of,
    start,
    summary,
)
from tests.support.wandb_runs import wandb_environment as wandb_environment  # a fixture
from tests.support.wandb_stub import KEY

pytestmark = pytest.mark.usefixtures("wandb_environment")


def test_every_field_of_a_record_has_a_metric() -> None:
    assert tuple(METRICS) == COLUMNS
    assert len(set(METRICS.values())) == len(METRICS)


def test_an_offline_run_holds_every_field_and_leaves_out_what_was_not_measured(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_of("plain-8", seed=3)
    run_id = new_run_id(run)
    tracker = start(run, tmp_path / "smoke", run_id)
    records = [record(1, clean_train_error=None, validation_loss=None), record(2)]
    for each in records:
        tracker.log(each)
    tracker.finish(summary())

    [attempt] = inspect(tmp_path / "smoke", run_id)
    expected = [
        {METRICS[k]: v for k, v in dataclasses.asdict(each).items() if v is not None}
        for each in records
    ]
    assert rows(attempt) == expected
    assert "error/train_clean" not in rows(attempt)[0]

    described = of_type(attempt, "run")[0]
    assert described["run_id"] == run_id
    assert described["project"] == "resnet_bench"
    assert described["display_name"] == "plain-8-s3"
    assert described["run_group"] == "plain-8"
    assert described["job_type"] == "train"
    assert described["tags"] == ["smoke", "plain", "depth-8"]
    config = described["config"]["update"]
    assert config["suite"] == "smoke"
    assert (config["network"], config["family"], config["depth"]) == ("plain-8", "plain", 8)
    assert (config["shortcut"], config["seed"], config["parameters"]) == ("none", 3, 75002)
    assert config["learning_rate"] == run.experiment.recipe.learning_rate
    assert config["digests_batch_stream"] == "ab"
    axes = {each["name"]: each.get("step_metric") for each in of_type(attempt, "metric")}
    axis = "iteration"
    assert axes == {name: None if name == axis else axis for name in METRICS.values()}
    assert ending(attempt) == (0, "finished")
    assert capfd.readouterr() == ("", "")


def test_a_stopped_run_goes_on_under_its_id_and_a_diverged_one_says_so(tmp_path: Path) -> None:
    """Its records are told apart by their iterations: the first three are of one epoch."""
    run, folder = run_of("resnet-8-A"), tmp_path / "smoke"
    run_id = new_run_id(run)
    records = [record(1, iteration=iteration) for iteration in (8, 15, 23)]
    first = start(run, folder, run_id)
    for each in records[:2]:
        first.log(each)
    first.finish(None)
    directory = RunDirectory(run.directory(tmp_path))
    directory.create()
    for each in records:
        directory.append(each)
    second = start(run, folder, run_id, resumed=True)
    second.log(record(2, iteration=30))
    second.finish(summary("diverged"))

    attempts = inspect(folder, run_id)
    logged = [[row["iteration"] for row in rows(attempt)] for attempt in attempts]
    assert logged == [[8, 15], [23, 30]]
    assert [ending(attempt) for attempt in attempts] == [(75, None), (1, "diverged")]


def test_of_the_layers_a_handful_of_figures_is_logged_once(tmp_path: Path) -> None:
    run = run_of("plain-8")
    directory = RunDirectory(run.directory(tmp_path))
    directory.create()
    file = LayersFile(directory.layers_csv)
    first = start(run, tmp_path / "smoke", "an-id")
    for iteration in (0, 5):
        file.append(layers(iteration, 32.0, 16.0, 8.0, 4.0, 2.0))
    first.log(layers(0, 32.0, 16.0, 8.0, 4.0, 2.0))
    first.finish(None)  # before it heard of iteration 5
    second = start(run, tmp_path / "smoke", "an-id", resumed=True)
    second.log(record(1))
    second.log(layers(9, 1.0, 3.0, 9.0))
    second.finish(summary())

    attempts = inspect(tmp_path / "smoke", "an-id")
    expected = {
        "layers/iteration": 0,
        "layers/gradient_growth": 2,
        "layers/gradient_correlation": 0.25,
    }
    for place, layer in (("first", 1), ("middle", 3), ("last", 5)):
        expected[f"layers/response_deviation/{place}"] = layer + 0.5
        expected[f"layers/activation_gradient_norm/{place}"] = 2 ** (6 - layer)
        expected[f"layers/update_ratio/{place}"] = layer / 100
    assert set(expected) == {*LAYER_METRICS, LAYERS_ITERATION}
    assert rows(attempts[0]) == [pytest.approx(expected)]
    late, epoch, last = rows(attempts[1])
    assert late == pytest.approx(expected | {"layers/iteration": 5})
    assert epoch["iteration"] == 10
    assert last["layers/iteration"] == 9
    assert last["layers/gradient_growth"] == pytest.approx(1 / 3)
    for attempt in attempts:
        axes = {each["name"]: each.get("step_metric") for each in of_type(attempt, "metric")}
        assert {axes[name] for name in LAYER_METRICS} == {LAYERS_ITERATION}


def test_runs_alive_at_once_keep_their_rows_apart(tmp_path: Path) -> None:
    runs = [run_of("plain-8", seed) for seed in range(3)]
    ids = [new_run_id(run) for run in runs]
    trackers = [start(run, tmp_path, run_id) for run, run_id in zip(runs, ids, strict=True)]
    for epoch in (1, 2):
        for seed, tracker in enumerate(trackers):
            tracker.log(record(epoch, test_error=seed / 100))
    for tracker in trackers:
        tracker.finish(summary())

    for seed, run_id in enumerate(ids):
        [attempt] = inspect(tmp_path, run_id)
        assert [(row["schedule/epoch"], row["error/test"]) for row in rows(attempt)] == [
            (1, seed / 100),
            (2, seed / 100),
        ]


def test_disabled_imports_no_wandb_and_leaves_no_file(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from resnet_bench.suites.experiment import Run
        from resnet_bench.suites.suite import find_experiment
        from resnet_bench.tracking.tracker import new_run_id, start_tracking
        run = Run(find_experiment("smoke/plain-8"), 0)
        tracker = start_tracking(run, {}, run_id=new_run_id(run), folder=Path("results"),
                                 mode="disabled", resumed=False)
        tracker.finish(None)
        print("wandb" in sys.modules, "torch" in sys.modules)
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("False False\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_variables_of_wandb_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.setenv("WANDB_ENTITY", "us")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("WANDB_TAGS", "paper,second")
    monkeypatch.setenv("WANDB_RUN_GROUP", "all")
    run = run_of("plain-8")
    start(run, tmp_path / "here", "an-id").finish(summary())

    [attempt] = inspect(tmp_path / "elsewhere", "an-id")
    [described] = of_type(attempt, "run")
    assert (described["project"], described["entity"]) == ("mine", "us")
    assert (described["tags"], described["run_group"]) == (["paper", "second"], "all")
    assert not (tmp_path / "here").exists()


def test_a_folder_that_cannot_be_written_costs_one_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "smoke").write_text("not a folder")
    for seed in range(2):
        tracker = start(run_of("plain-8", seed), tmp_path / "smoke", f"id-{seed}")
        tracker.log(record(1))
        tracker.finish(summary())
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.count("\n") == errors.count("warning: W&B: ") == 1
    assert str(tmp_path / "smoke") in errors


def test_a_listener_hears_the_warning_instead_of_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(thread, "_warning_sink", None)
    lines: list[str] = []
    set_warning_sink(lines.append)
    (tmp_path / "smoke").write_text("not a folder")
    start(run_of("plain-8"), tmp_path / "smoke", "an-id").finish(summary())
    assert [line[:14] for line in lines] == ["warning: W&B: "]
    assert capfd.readouterr() == ("", "")


def test_settings_are_ours_where_no_variable_sets_them_and_this_wandb_knows_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = {"console", "init_timeout", "x_save_requirements"}
    assert settings_for("offline", known, load=True) == {
        "mode": "offline",
        "console": "off",
        "init_timeout": 10.0,
        "x_save_requirements": False,
    }
    monkeypatch.setenv("WANDB_CONSOLE", "wrap")
    monkeypatch.setenv("WANDB__SAVE_REQUIREMENTS", "true")
    assert set(settings_for("offline", known, load=True)) == {"mode", "init_timeout"}


def test_a_machine_without_wandb_trains_and_says_so_only_if_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert choose_mode() == "disabled"
    assert choose_mode("disabled") == "disabled"
    with pytest.raises(UserError, match="'offline', and wandb is not installed"):
        choose_mode("offline")
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(UserError, match="'online', and wandb is not installed"):
        choose_mode()


def test_the_mode_is_asked_for_or_set_or_follows_from_a_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert choose_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    assert choose_mode() == "offline"
    assert choose_mode("disabled") == "disabled"
    monkeypatch.setenv("WANDB_MODE", "ofline")
    with pytest.raises(UserError, match="WANDB_MODE is 'ofline'"):
        choose_mode()
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.delenv("WANDB_API_KEY")

    login = tmp_path / "home" / ".netrc"
    login.write_text(f"machine api.wandb.ai login user password {KEY}\n")
    assert choose_mode() == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9/")
    assert choose_mode() == "offline"  # a login to another server
    monkeypatch.delenv("WANDB_BASE_URL")
    settings = tmp_path / "home" / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text("[default]\nmode = offline\n")
    assert choose_mode() == "offline"  # `wandb offline`


def test_a_run_id_is_new_each_time_and_fit_for_wandb() -> None:
    run = Run(find_experiment("smoke/plain-8", ("recipe.drops=[10, 20]",)), 1)
    first, second = new_run_id(run), new_run_id(run)
    assert re.fullmatch(r"plain-8-drops-10-20-s1-[0-9a-f]{8}", first)
    assert first != second
