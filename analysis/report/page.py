"""One page with everything: finding, verdict, figures, tables, fidelity, provenance."""

import html
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis import formatting
from analysis.fidelity import checks, deviations, table6
from analysis.figures.catalogue import FigureSpec
from analysis.frames import notices as frames_notices
from analysis.frames import select
from analysis.report import provenance, reproduce, svg
from analysis.results import SuiteResults
from analysis.verdict import best_rates, contrasts, finding, variants, verdict
from resnet_bench.errors import UserError
from resnet_bench.records.files import write_atomically
from resnet_bench.suites.suite import Suite, load_suite

STYLE = Path(__file__).with_name("report.css")
# Nothing is loaded from anywhere: the browser itself is told to refuse.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def build(runs: SuiteResults, figures: list[tuple[FigureSpec, Figure]]) -> str:
    """The report of a suite as one self-contained HTML page; equal runs give equal pages.

    `figures` as from `runs.draw`: drawn once for PNG and page.
    """
    frame = runs.frame
    suite = load_suite(select.declared(frame)["suite"].iloc[0])
    body = [
        _opening(suite, frame),
        _section("Verdict", _verdict(frame)),
        _section("Figures", "\n".join(_figures(runs, figures))),
        _section("Final errors", _final_errors(frame)),
        _section("Fidelity", _fidelity(frame)),
        _section("SuiteResults", _runs(frame)),
        _section("To reproduce", _reproduce(suite, runs)),
    ]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(suite.name)}: plain and residual networks</title>",
            f"<style>{STYLE.read_text(encoding='utf-8')}</style></head>",
            "<body>",
            *body,
            "</body></html>\n",
        ]
    )


def write(runs: SuiteResults, figures: list[tuple[FigureSpec, Figure]], folder: Path) -> Path:
    """Write report.html to a suite's folder; raises UserError if it cannot."""
    path = folder / "report.html"
    try:
        write_atomically(path, build(runs, figures).encode())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    return path


def _opening(suite: Suite, frame: pd.DataFrame) -> str:
    parts = [
        f"<header><p class='small'>suite {html.escape(suite.name)}, {finding.budget(frame)}</p>",
        f"<h1>{html.escape(suite.question)}</h1>",
        f"<p class='finding'>{html.escape(finding.sentence(frame))}</p></header>",
    ]
    if notices := frames_notices.notices(frame):
        parts.append(f"<div class='notices'><strong>Note.</strong>{_list(notices)}</div>")
    return "\n".join(parts)


def _verdict(frame: pd.DataFrame) -> str:
    primary, secondary = contrasts.primary(frame), contrasts.secondary(frame)
    if not primary:
        return "<p>No two depths are compared here, so there is no verdict.</p>"
    return "\n".join(
        [
            f"<p>{html.escape(verdict.METHOD)}</p>",
            _table(verdict.primary_rows(primary)),
            _table(verdict.by_seed_rows(primary)),
            *(f"<p>{html.escape(sentence)}</p>" for sentence in verdict.limits(primary)),
            *(f"<p>{html.escape(sentence)}</p>" for sentence in verdict.lost(primary)),
            *_at_best_rates(frame),
            "<h3>Secondary contrasts</h3>",
            "<p>For looking, not for deciding: intervals not adjusted, no verdicts.</p>",
            _table(verdict.secondary_rows(secondary)),
        ]
    )


def _at_best_rates(frame: pd.DataFrame) -> list[str]:
    if not best_rates.can_choose(frame):
        return []
    return [
        "<h3>With each network at its best learning rate</h3>",
        "<p>Chosen by the lowest mean error on held-out training images at the last iteration,"
        " never on the test set; a rate at which a seed diverged or is not finished is not"
        " chosen.</p>",
        _table(best_rates.rows(frame)),
        _table(verdict.primary_rows(best_rates.primary(frame))),
    ]


def _figures(runs: SuiteResults, figures: list[tuple[FigureSpec, Figure]]) -> list[str]:
    """Every figure twice, side by side for wide pages and stacked for phones; one is shown."""
    parts = []
    for (figure_spec, figure), stacked in zip(figures, runs.draw_narrow(), strict=True):
        said = [
            f"<p>{html.escape(words)}</p>"
            for words in figure_spec.sentences(runs.data_of(figure_spec))
        ]
        wide = svg.inline(figure, f"{figure_spec.name}-wide", figure_spec.title)
        narrow = svg.inline(stacked, f"{figure_spec.name}-narrow", figure_spec.title)
        parts += [
            f"<figure id='{figure_spec.name}'><h3>{html.escape(figure_spec.title)}</h3>",
            f"<div class='wide'>{wide}</div><div class='narrow'>{narrow}</div>",
            f"<figcaption>{html.escape(figure_spec.caption)}</figcaption>{''.join(said)}</figure>",
        ]
    return parts


def _final_errors(frame: pd.DataFrame) -> str:
    table = table6.final_errors(frame)
    parts = [
        "<p>Mean ± standard deviation over finished seeds, at the last epoch. Training error in"
        " evaluation mode with precise batch norm.</p>",
        _table(table6.rows(table)),
    ]
    if variants.applies(frame):
        parts += ["<h3>Variants beside their networks</h3>", _table(variants.rows(frame))]
    if beside := _table(table6.reference_rows(table)):
        parts += ["<h3>Beside the paper</h3>", beside]
    return "\n".join(parts)


def _fidelity(frame: pd.DataFrame) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(check.what)}</td>"
        f"<td class='{check.state.partition(' ')[0]}'>{check.state}</td>"
        f"<td>{html.escape(check.found)}</td></tr>"
        for check in checks.all_checks(frame)
    )
    return "\n".join(
        [
            f"<div class='scroll'><table class='words'><tbody>{rows}</tbody></table></div>",
            "<h3>Deviations from the paper, by the recipe</h3>",
            _list(deviations.from_paper(frame)) or "<p>None.</p>",
            "<h3>Left open by the paper, settled by the recipe</h3>",
            _list(deviations.open_points(frame)),
        ]
    )


def _runs(frame: pd.DataFrame) -> str:
    rows, shared = provenance.without_shared(provenance.rows(frame))
    return "\n".join(
        [
            "<p>Training time without evaluation; runs of one group share theirs."
            f" {html.escape(shared)}</p>",
            _table(rows),
            *(f"<p class='small'>{html.escape(words)}</p>" for words in provenance.versions(frame)),
        ]
    )


def _reproduce(suite: Suite, runs: SuiteResults) -> str:
    what = "<br>".join(html.escape(line) for line in suite.description.splitlines())
    lines = "\n".join(reproduce.commands(runs))
    return f"<p class='small'>{what}</p><pre>{html.escape(lines)}</pre>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>\n{content}\n</section>"


def _table(rows: list[list[str]]) -> str:
    return f"<div class='scroll'>{formatting.as_html(rows)}</div>" if len(rows) > 1 else ""


def _list(sentences: list[str]) -> str:
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""
