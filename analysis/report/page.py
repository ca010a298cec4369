"""The report of a suite as one HTML page, from report.html.j2."""

import base64
import io
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

from analysis.cures import sentences as cures_sentences
from analysis.fidelity import checks, deviations, table6
from analysis.frames import notices, select
from analysis.plotting.figure_spec import FigureSpec
from analysis.plotting.style import as_png
from analysis.report import provenance, reproduce
from analysis.results import SuiteResults
from analysis.verdict import best_rates, contrasts, finding, variants, verdict
from resnet_bench.records.files import write_atomically
from resnet_bench.suites.suite import load_suite

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
CSS_DPI = 96
DPI = 2 * CSS_DPI  # two pixels for each CSS pixel, so that a figure is sharp on a slide


def build(results: SuiteResults, figures: list[tuple[FigureSpec, Figure]]) -> str:
    """The report of a suite as one self-contained HTML page; equal runs give equal pages.

    `figures` as from `results.draw`.
    """
    frame, finals = results.frame, results.finals
    table = table6.final_errors(frame)
    runs, shared = provenance.without_shared(provenance.rows(finals))
    return TEMPLATES.get_template("report.html.j2").render(
        suite=load_suite(select.declared(finals)["suite"].iloc[0]),
        budget=finding.budget(finals),
        findings=[finding.sentence(finals), *cures_sentences.best(results.cures)],
        notices=results.notices(),
        verdict=_verdict(finals),
        figures=[_figure(spec, figure, results) for spec, figure in figures],
        errors=table6.rows(table),
        cures=cures_sentences.rows(results.cures),
        variants=variants.rows(finals) if variants.applies(finals) else [],
        references=table6.reference_rows(table),
        checks=checks.all_checks(frame),
        deviations=deviations.from_paper(finals),
        open_points=deviations.open_points(finals),
        runs=runs,
        machines=notices.of_machines(finals),
        shared=shared,
        versions=provenance.versions(finals),
        commands=reproduce.commands(results),
    )


def write(results: SuiteResults, figures: list[tuple[FigureSpec, Figure]], folder: Path) -> Path:
    """Write report.html to a suite's folder; raises UserError if it cannot."""
    path = folder / "report.html"
    write_atomically(path, build(results, figures).encode())
    return path


def table(rows: list[list[str]]) -> str:
    """The HTML table of `rows`, the header first."""
    return TEMPLATES.get_template("table.html.j2").render(rows=rows)


def _verdict(frame: pd.DataFrame) -> dict[str, Any]:
    """The verdict's sentences and tables; empty where no depths are compared."""
    primary = contrasts.primary(frame)
    if not primary:
        return {}
    at_best_rates = []
    if best_rates.can_choose(frame):
        at_best = verdict.primary_rows(best_rates.primary(frame))
        at_best_rates = [best_rates.rows(frame), at_best]
    return {
        "method": verdict.METHOD,
        "primary": verdict.primary_rows(primary),
        "by_seed": verdict.by_seed_rows(primary),
        "limits": verdict.limits(frame),
        "lost": verdict.lost(primary),
        "best_rates": at_best_rates,
        "secondary": verdict.secondary_rows(contrasts.secondary(frame)),
    }


def _figure(spec: FigureSpec, figure: Figure, results: SuiteResults) -> dict[str, Any]:
    """A figure with its words; width and height in CSS pixels, so that type is equally large."""
    width, height = figure.get_size_inches()
    return {
        "name": spec.name,
        "title": spec.title,
        "caption": spec.caption,
        "sentences": spec.sentences(results.data_of(spec)),
        "png": base64.b64encode(_png(figure)).decode(),
        "width": round(CSS_DPI * width),
        "height": round(CSS_DPI * height),
    }


def _png(figure: Figure) -> bytes:
    """The figure as PNG with a palette of 256 colours: about a third of the bytes."""
    reduced = io.BytesIO()
    image = Image.open(io.BytesIO(as_png(figure, DPI))).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(reduced, format="PNG", optimize=True)
    return reduced.getvalue()
