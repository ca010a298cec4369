"""The report: complete, self-contained, the same for the same runs, and sound in a real browser."""

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import escape
from PIL import Image

from analysis import catalogue, command, formatting
from analysis.report import __main__ as report
from analysis.report import page as report_page
from analysis.report import provenance, reproduce
from analysis.results import SuiteResults
from analysis.verdict import finding
from resnet_bench.suites.suite import load_suite
from tests.support.browser import BROWSER, Visit, visit
from tests.support.layers import write_layers
from tests.support.results import Options, write_changed, write_suite
from tests.support.witnesses import write_witness

FOR_OTHER_SUITES = [
    *("curves", "variants", "cures-depth", "cures", "cures-at-start", "budgets"),
    *("figure-6-beside-the-paper", "table-6"),  # of CIFAR-10
]
IN_THE_REPORT = [
    figure_spec for figure_spec in catalogue.FIGURES if figure_spec.name not in FOR_OTHER_SUITES
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of figure has something to show, and some runs are not as they should be."""
    folder = tmp_path_factory.mktemp("results")
    odd = Options(
        seeds=(0, 1, 2),
        missing=frozenset({"resnet-56-B/2"}),
        diverged={"plain-44/1": 0.4},
        commits={"plain-20/0": "feedfacefeedface"},
    )
    write_suite(folder, "digits", odd)
    write_suite(folder, "digits-3x")
    write_changed(folder, "digits/plain-56", "recipe.learning_rate=0.1")
    write_layers(folder, "digits", networks=("plain-20", "resnet-20-A"))
    write_witness(folder / "digits", "plain-20-as-56", 0, 0.02, 0.6, {0.1: (0.3, 0.5)})
    return folder


@pytest.fixture(scope="module")
def runs(results: Path) -> SuiteResults:
    return SuiteResults.of(results, "digits")


@pytest.fixture(scope="module")
def page(results: Path, runs: SuiteResults) -> Path:
    return report_page.write(runs, runs.draw(), results / "digits")


class Addresses(HTMLParser):
    """Collects every attribute by which a page can load something, and its images."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attributes))
        for key, value in attributes:
            if key in ("src", "href", "xlink:href", "data", "srcset", "poster"):
                self.found.append(value or "")
            if key == "id":
                self.ids.append(value or "")


def test_it_says_everything(results: Path, page: Path, runs: SuiteResults) -> None:
    text = page.read_text(encoding="utf-8")
    assert str(escape(finding.sentence(runs.frame))) in text
    for title in ("Verdict", "Figures", "Final errors", "Fidelity", "Runs", "To reproduce"):
        assert f"<h2>{title}</h2>" in text
    for figure_spec in IN_THE_REPORT:
        assert f'<figure id="{figure_spec.name}">' in text
    for sentence in runs.sentences():
        assert f"<p>{escape(sentence)}</p>" in text
    assert "Diverged: plain-44 seed 1" in text
    assert "Missing: resnet-56-B seed 2" in text
    assert "Different commits: feedfacefe (1 run), 0123456789 (35 runs)" in text  # one is missing
    assert "python 3.11.7, torch 2.13.0" in text
    assert f"make sweep SUITE=digits SEEDS=3 RESULTS={results}\n" in text
    assert f"make report SUITE=digits RESULTS={results}</pre>" in text


def test_to_reproduce_is_all_that_is_shown(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, "digits-lr", Options(seeds=(0, 1)))
    sweep = f"make sweep SUITE=digits-lr SEEDS=2 RESULTS={tmp_path}"
    first, second, *_ = reproduce.commands(SuiteResults.of(tmp_path, "digits-lr"))
    assert (first, second) == ("git checkout 0123456789", sweep)
    write_witness(suite, "plain-20-as-56", 0, 0.02, 0.6, {0.1: (0.5,)})
    write_witness(suite, "plain-20-as-110", 1, 0.02)
    assert reproduce.commands(SuiteResults.of(tmp_path, "digits-lr"))[:4] == [
        "# made at the commits 0123456789, feedfacefe",
        sweep,
        f"make witness EXP=digits-lr/plain-20 DEPTH=56 SEED=0 CONTINUE=1 RESULTS={tmp_path}",
        f"make witness EXP=digits-lr/plain-20 DEPTH=110 SEED=1 RESULTS={tmp_path}",
    ]


def test_a_changed_setting_of_another_commit_is_not_checked_out(tmp_path: Path) -> None:
    name = "plain-56+learning_rate=0.1"
    write_suite(tmp_path, "digits-lr", Options(commits={f"{name}/0": "f" * 40}))
    first = reproduce.commands(SuiteResults.of(tmp_path, "digits-lr"))[0]
    assert sorted(first.removeprefix("# made at the commits ").split(", ")) == [
        "0123456789",
        "f" * 10,
    ]


def test_it_loads_nothing_and_no_names_clash(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    addresses = addresses_of(text)
    assert all(address.startswith("data:image/png;base64,") for address in addresses.found)
    assert len(addresses.ids) == len(set(addresses.ids))
    outside = re.findall(r"url\([^)]*\)|@import|https?://", text)
    assert outside == []
    assert "default-src 'none'" in text
    assert "<script" not in text


def addresses_of(text: str) -> Addresses:
    addresses = Addresses()
    addresses.feed(text)
    return addresses


def test_each_figure_is_one_image_with_its_size_and_words(page: Path, runs: SuiteResults) -> None:
    images = addresses_of(page.read_text(encoding="utf-8")).images
    assert len(images) == len(IN_THE_REPORT)
    for figure_spec, image in zip(IN_THE_REPORT, images, strict=True):
        data = base64.b64decode(str(image["src"]).partition(",")[2])
        drawn = Image.open(io.BytesIO(data))
        shown = int(str(image["width"])), int(str(image["height"]))
        assert drawn.size == pytest.approx([2 * pixels for pixels in shown], abs=2)
        sentences = figure_spec.sentences(runs.data_of(figure_spec))
        assert image["alt"] == " ".join([f"{figure_spec.title}.", *sentences])
        colours = drawn.convert("RGB").getcolors(maxcolors=256)
        assert colours is not None
        assert max(colours)[1] == (255, 255, 255)  # the figure's own paper, on dark pages too


def test_what_is_not_html_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "sentence", lambda _: "<b>less & more</b>")
    write_suite(tmp_path, "smoke")
    text = report_page.build(SuiteResults.of(tmp_path, "smoke"), [])
    assert "&lt;b&gt;less &amp; more&lt;/b&gt;" in text
    assert "<b>" not in text


def test_equal_runs_give_equal_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "FIGURES", catalogue.FIGURES[:1])
    write_suite(tmp_path, "smoke")
    once, again = (SuiteResults.of(tmp_path, "smoke") for _ in range(2))
    assert report_page.build(once, once.draw()) == report_page.build(again, again.draw())


def test_it_names_the_runs_that_the_contrasts_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "FIGURES", [])
    monkeypatch.setattr(formatting, "RESULTS", tmp_path / "results")
    odd = Options(seeds=(0, 1, 2), diverged={"plain-14/1": 0.4}, missing=frozenset({"plain-8/2"}))
    write_suite(tmp_path / "results", "smoke", odd)
    text = report_page.build(SuiteResults.of(tmp_path / "results", "smoke"), [])
    lost = "plain-8 seed 2 missing"
    assert f"<p>Not in the primary contrasts: {lost}.</p>" in text
    assert "RESULTS=" not in text  # make's own folder
    monkeypatch.setattr(reproduce, "REFERENCE", tmp_path / "taken-in")
    write_suite(tmp_path / "taken-in", "smoke")
    text = report_page.build(SuiteResults.of(tmp_path / "taken-in", "smoke"), [])
    assert "RESULTS=" not in text  # made in make's own folder, too
    assert "Not in the primary contrasts" not in text


def test_a_page_of_refused_runs_says_how_to_make_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "FIGURES", [])
    names = [experiment.network_name for experiment in load_suite("smoke").experiments]
    odd = Options(
        seeds=(1,),
        recipes={"plain-8/1": {"momentum": 0.5}},
        missing=frozenset(f"{name}/1" for name in names if name != "plain-8"),
    )
    write_suite(tmp_path, "smoke", odd)
    text = report_page.build(SuiteResults.of(tmp_path, "smoke"), [])
    assert "make sweep SUITE=smoke SEEDS=2" in text


def test_provenance_of_every_run(runs: SuiteResults) -> None:
    rows = provenance.rows(runs.frame)
    header = rows[0]
    by_run = {row[0]: dict(zip(header, row, strict=True)) for row in rows[1:]}
    assert len(by_run) == 37  # 12 networks at 3 seeds, and one with a changed setting
    assert by_run["plain-20 seed 0"]["commit"] == "feedfacefe"
    assert by_run["plain-20 seed 1"]["training time"] == "1:00"
    assert by_run["plain-44 seed 1"]["status"] == "diverged"
    assert by_run["resnet-56-B seed 2"]["status"] == "missing"
    left, shared = provenance.without_shared(rows)
    assert "commit" in left[0]  # not the same for all
    assert "device" not in left[0]
    assert "device cpu" in shared


def test_how_the_finished_runs_were_made_in_a_sentence(runs: SuiteResults) -> None:
    own = runs.frame[runs.frame["changed"] == ""]
    seed, some_hours = own[own["seed"] == 0].copy(), own[own["seed"] == 0].copy()
    seed["seconds_total"] = seed["seconds_share"] = 90.0
    preliminary = "Preliminary: 12 of 12 networks, 1 seed. "
    assert provenance.sentence(seed).startswith(
        f"{preliminary}12 runs, 1 seed, in IEEE float32 on "
    )
    fewer = provenance.sentence(own[own["network"] != "plain-56"])
    assert fewer.startswith("Preliminary: 11 of 11 networks, 2 seeds or more. ")
    assert "at commits feedfacefe and 0123456789. Training" in provenance.sentence(seed)
    assert provenance.sentence(seed).endswith("took 90 s to 90 s a run, 18 minutes in all.")
    some_hours["seconds_total"] = some_hours["seconds_share"] = 7200.0
    some_hours["dirty"] = True
    assert "0123456789 and changes. Training" in provenance.sentence(some_hours)
    assert provenance.sentence(some_hours).endswith(
        "2.0 hours to 2.0 hours a run, 24.0 hours in all."
    )
    # Twelve runs side by side on a GPU: the time of their group is not twelve times its own.
    some_hours["seconds_share"] = 600.0
    assert provenance.sentence(some_hours).endswith(
        "took 2.0 hours to 2.0 hours a group of runs side by side, 2.0 hours in all."
    )
    unfinished = own[own["status"] == "missing"]
    assert provenance.sentence(unfinished) == "No run is finished."


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "0:05"), (125, "2:05"), (3725.4, "1:02:05"), (359_999, "99:59:59")]
)
def test_durations(seconds: float, words: str) -> None:
    assert formatting.duration(seconds) == words


def test_the_command(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "FIGURES", catalogue.FIGURES[:1])
    monkeypatch.setattr(sys, "argv", ["analysis.report", "digits-3x", "--results", str(results)])
    with pytest.raises(SystemExit) as exit_:
        command.run(report.main)
    assert exit_.value.code == 0
    path = results / "digits-3x" / "report.html"
    assert capsys.readouterr().out == f"{path}\n"
    assert len(addresses_of(path.read_text(encoding="utf-8")).images) == 1


def test_an_unwritable_folder_is_the_users_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_suite(tmp_path, "smoke")
    (folder / "report.html").mkdir()  # a folder where a file is to go
    monkeypatch.setattr(catalogue, "FIGURES", catalogue.FIGURES[:1])
    monkeypatch.setattr(sys, "argv", ["analysis.report", "smoke", "--results", str(tmp_path)])
    with pytest.raises(SystemExit) as exit_:
        command.run(report.main)
    assert exit_.value.code == 2
    assert "cannot write" in capsys.readouterr().err


needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium here; on Debian: apt-get install chromium"
)


def check(found: Visit) -> None:
    """Each figure is shown once, sharp, and on a narrow page in a place that scrolls sideways."""
    assert found.console == []
    assert found.requests == []
    assert found.measured["page"]["width"] <= found.measured["page"]["window"]
    assert set(found.measured["figures"]) == {figure_spec.name for figure_spec in IN_THE_REPORT}
    for boxes in found.measured["figures"].values():
        (box,) = boxes
        assert box["height"] > 150
        drawn = box["pixels"] / 2  # in CSS pixels
        assert box["width"] >= min(drawn - 1, 760)  # narrower, its type is too small to read
        assert box["pixels"] >= 1.9 * box["width"]
        assert box["place"]["left"] >= 0
        assert box["place"]["right"] <= found.measured["page"]["window"]


@needs_browser
def test_in_a_browser_on_a_desk_and_on_a_phone(page: Path, tmp_path: Path) -> None:
    desk = visit(page, 1200, tmp_path / "desk")
    check(desk)
    phone = visit(page, 360, tmp_path / "phone", dark=True)
    check(phone)
    assert phone.measured["page"]["window"] == 360
    for boxes in desk.measured["figures"].values():
        assert boxes[0]["right"] <= boxes[0]["place"]["right"]  # nothing to scroll
    assert desk.measured["ink"] == "rgb(28, 28, 30)"
    assert phone.measured["ink"] == "rgb(236, 236, 240)"


@needs_browser
def test_the_browser_test_would_notice(tmp_path: Path) -> None:
    """A page that loads, complains and hides its figure is seen to do all three."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<figure id='hidden' style='display: none'><img src='data:image/gif;base64,"
        "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'></figure>"
        "<link rel='stylesheet' href='https://fonts.googleapis.com/css'>"
        "<script>console.error('complaint')</script>"
    )
    found = visit(bad, 500, tmp_path / "visit")
    assert found.requests == ["https://fonts.googleapis.com/css"]
    assert any("complaint" in line for line in found.console)
    assert found.measured["figures"] == {"hidden": []}
