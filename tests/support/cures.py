"""Experiments with a cure of a test's own."""

from pathlib import Path

from resnet_bench.suites.experiment import Experiment
from resnet_bench.suites.suite import load_suite
from tests.conftest import SMALL_SUITE

SUITE = SMALL_SUITE.format(iterations=30)
CURED = '\n[experiments.cured]\nlike = "plain-8"\ncure = "idea"\n'
ON_GRADIENTS = "def on_gradients(network, recipe, options):\n    "
BLOCK = (
    "from resnet_bench.networks.cifar import Block as Control\n"
    "class Block(Control):\n"
    "    def __init__(self, inputs, width, stride, spec, options):\n"
    "        super().__init__(inputs, width, stride, spec)\n"
)


def experiment_of(folder: Path, source: str | None, suite: str = SUITE + CURED) -> Experiment:
    """The cured experiment of a suite in `folder`, whose cure `idea` has this source."""
    (folder / "cures").mkdir(exist_ok=True)
    if source is not None:
        (folder / "cures" / "idea.py").write_text(source)
    (folder / "mine.toml").write_text(suite)
    return load_suite("mine", folder).experiments[-1]
