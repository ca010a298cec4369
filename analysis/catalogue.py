"""All figures, in the order of the report."""

from analysis.cures import at_start
from analysis.cures import figure as cures_figure
from analysis.cures.shares import Cures
from analysis.figures import (
    beside_paper,
    budgets,
    convergence,
    curves,
    degradation,
    figure6,
    learning_rates,
    shortcuts,
    training_errors,
)
from analysis.figures import variants as figures_variants
from analysis.plotting.figure_spec import FigureSpec
from analysis.signals import figure as signals_figure
from analysis.signals import figure7, shattered, vanishing
from analysis.verdict import best_rates
from analysis.verdict import variants as verdict_variants
from analysis.witness import figure as witness_figure
from analysis.witness import nested, sentences

FIGURES = (
    FigureSpec(
        "figure-6",
        "Error against iteration",
        "Figure 6 of the paper redrawn. Dashed: running training error; solid: test error. Lines"
        " are means over finished seeds, bands reach from the lowest to the highest seed; thin"
        " lines are runs that are partial or diverged (a cross marks where, at"
        " chance's error if before the first record). The last running error is over an epoch.",
        figure6.draw,
    ),
    beside_paper.PLATE,
    FigureSpec(
        "degradation",
        "Final error against depth",
        "At the last iteration, never the best. Dots are seeds, markers their means with"
        " Student's 95% interval.",
        degradation.draw,
        data="finals",
    ),
    beside_paper.TABLE6,
    nested.SPEC,
    cures_figure.DEPTH,
    cures_figure.SHARES,
    at_start.SPEC,
    FigureSpec(
        "training-errors",
        "Three training errors",
        "At the last iteration: the running error that the paper plots, over the last epoch; in"
        " evaluation mode with batch norm's running statistics; and with statistics re-estimated on"
        " training images, which the verdict is about. Small dots are seeds, markers their means.",
        training_errors.draw,
        training_errors.applies,
        sentences=training_errors.sentences,
    ),
    FigureSpec(
        "curves",
        "Curves and losses",
        "Left: running training error (dashed) and test error (solid); right: losses. Lines: means"
        " over finished seeds; bands: from lowest to highest; thin: partial or diverged runs.",
        curves.draw,
        curves.applies,
    ),
    FigureSpec(
        "shortcuts",
        "The options compared",
        "Projections (B, C) less identity (A) at equal depth, paired by seed; below 0 is better"
        " than A. Means with Student's 95% interval.",
        shortcuts.draw,
        shortcuts.applies,
        data="finals",
    ),
    FigureSpec(
        "variants",
        "Variants beside their networks",
        "Final errors; a panel is what a variant differs in. Open markers are networks, filled ones"
        " their variants, both means over finished seeds, which are dots; the axis is linear up to"
        " 1% and logarithmic above; a cross on"
        " the upper edge is a variant with a run that diverged.",
        figures_variants.draw,
        lambda frame: verdict_variants.applies(frame) and Cures.of(frame) is None,
        data="finals",
        sentences=verdict_variants.sentences,
    ),
    FigureSpec(
        "convergence",
        "How long it takes",
        "Iterations until the running training error is first at most what every network reaches,"
        " what the best one does, and between; lines: medians.",
        convergence.draw,
    ),
    FigureSpec(
        "budgets",
        "Slow, or stuck?",
        "The same experiment at several numbers of iterations: final errors of the seeds that ran"
        " at each, a line through their means.",
        budgets.draw_budgets,
        budgets.has_budgets,
        data="wider",
        sentences=budgets.sentences,
    ),
    FigureSpec(
        "learning-rates",
        "Mistuned, or degraded?",
        "The same experiment at several learning rates: final errors, a line through the means"
        " over seeds. A ring is the rate with the lowest mean error on held-out training images,"
        " where there are any; a cross on the upper edge is a run that diverged.",
        learning_rates.draw,
        best_rates.applies,
        data="finals",
        sentences=best_rates.sentences,
    ),
    FigureSpec(
        "witness",
        "A good solution exists; does SGD stay at it?",
        "The witness is the shallow network with identity blocks appended: a deep network of the"
        " same function, to compare SGD's with. Errors are in"
        " evaluation mode with precise batch norm; SGD's own network's, where it was measured"
        " at its end alone, is a dot a seed. The witness is trained on at constant learning"
        " rates. Lines are medians over seeds, bands reach from the lowest to the highest; the"
        " axis is linear up to 1% and logarithmic above. In the text, a witness stays if its error"
        " is never measured more than half a point above its first one; it comes back if it was,"
        " but is not at the end; it drifts away if it is at the end.",
        witness_figure.draw,
        witness_figure.applies,
        data="witnesses",
        sentences=sentences.sentences,
    ),
    FigureSpec(
        "signals",
        "Do signals vanish?",
        "At initialisation, on one batch, by layer. Above: standard deviation of each block's"
        " output; below: norm of the loss's gradient at each convolution's response."
        " Lines are medians over seeds, bands reach from the lowest to the highest.",
        signals_figure.draw,
        signals_figure.applies,
        data="layers",
        sentences=vanishing.sentences,
    ),
    FigureSpec(
        "signals-in-training",
        "Signals in training",
        "The deepest networks at several iterations: standard deviation of each convolution's"
        " responses, norm of the gradient at the responses, and norm of the next weight update over"
        " that of the weights. Lines are medians over seeds, bands reach from the lowest to"
        " the highest.",
        signals_figure.draw_in_training,
        signals_figure.applies_in_training,
        data="layers",
    ),
    FigureSpec(
        "shattered-gradients",
        "Shattered gradients",
        "Balduzzi et al. 2017: the correlation of the gradients at an image and at its neighbour,"
        " a hundredth of the way to another image, at initialisation; 1 for a linear network, 0"
        " for unrelated gradients.",
        shattered.draw,
        shattered.applies,
        data="layers",
        sentences=shattered.sentences,
    ),
    FigureSpec(
        "figure-7",
        "Responses of the layers",
        "After figure 7 of the paper: standard deviation of the response of each 3x3 layer (after"
        " batch norm, before ReLU and addition) at the last iteration that was measured; drawn is"
        " how far it is from 1, where batch norm begins; left in the layers' order, right sorted."
        " Lines are medians over seeds, bands reach from the lowest to the highest. As in the paper"
        " without plain networks of 110 layers.",
        figure7.draw,
        figure7.applies,
        data="layers",
        sentences=figure7.sentences,
    ),
)
