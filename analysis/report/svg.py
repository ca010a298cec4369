"""A figure as SVG inside a page: no links, no clashing names, and the reader's own colours."""

import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

from analysis.plotting import style

# The inks that change with the reader's theme, and the page's names for them.
THEMED = {
    style.INK: "var(--ink)",
    style.MUTED: "var(--muted)",
    style.GRID: "var(--grid)",
    style.PAPER: "var(--paper)",
    style.depth_colour(20): "var(--blue)",  # too dark for a dark page
}


def inline(figure: Figure, name: str, label: str) -> str:
    """The <svg> element of a figure, as wide as its place; equal figures give equal text.

    `name` keeps its ids apart from other figures'; `label` is read out in place of it.
    """
    file = io.StringIO()
    # Letters as outlines: the same in every browser, whatever fonts it has.
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": name, "path.simplify": True}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]  # without the XML declaration and its DTD's address
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>\s*", "", text, flags=re.DOTALL)  # it is the page's affair
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", text)
    for colour, variable in THEMED.items():
        text = text.replace(colour, variable)
    width = 96 * figure.get_figwidth()  # CSS pixels: type is equally large in every figure
    opening = (
        f'<svg role="img" aria-label="{label}" class="figure" style="max-width: {width:.0f}px"'
    )
    return re.sub(r"^<svg", opening, _without_size(text))


def _without_size(text: str) -> str:
    """Width and height out of the opening tag, so that the page decides; the viewBox stays."""
    end = text.index(">")
    return re.sub(r' (width|height)="[^"]*"', "", text[:end]) + text[end:]
