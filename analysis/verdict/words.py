"""The words of the verdict, and the margin that they are about."""

from typing import Literal

from analysis.verdict.statistics import Interval

# The margin within which a change is no degradation. Half a point is a seventh of what plain
# networks lose at the paper's length (2.6 to 4.3 points in the repeats of fidelity/paper.py). With
# short recipes they lose far more and vary more: there it is a tenth of what they lose.
TOLERANCE = 0.005
TENTH = 0.1
Word = Literal["degrades", "rises", "does not degrade", "undecided"]


def word_for(change: Interval, above_tenth: Interval | None) -> Word:
    """The verdict on a change of errors: fractions.

    `above_tenth` is the change less a tenth of that of plain networks; None if that is not known.
    The margin is half a point or this tenth, whichever is more.
    """
    tenths = [above_tenth] if above_tenth else []
    if change.low > TOLERANCE and all(tenth.low > 0 for tenth in tenths):
        return "degrades"
    if change.high < TOLERANCE or any(tenth.high < 0 for tenth in tenths):
        return "rises" if change.low > 0 else "does not degrade"
    return "undecided"
