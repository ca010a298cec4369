"""Synthetic layers.csv files for the tests of the analysis.

Gradients grow by a factor a layer towards the input, at initialisation by `GROWTH` in plain
networks and not at all in residual ones; afterwards they vanish in plain networks.
"""

from pathlib import Path

from resnet_bench.records.layers import LayerRecord, LayersFile
from resnet_bench.suites.suite import load_suite
from tests.support.results import seal

GROWTH = 2.0
MEASURED = (0, 10, 30)


def write_layers(
    results: Path, suite: str, seeds: tuple[int, ...] = (0,), networks: tuple[str, ...] = ()
) -> None:
    """Add a layers.csv to the runs of a suite that `write_suite` wrote, or of some `networks`."""
    for experiment in load_suite(suite).experiments:
        for seed in seeds if not networks or experiment.network_name in networks else ():
            folder = results / suite / experiment.network_name / f"seed-{seed}"
            plain = experiment.spec.family == "plain"
            file = LayersFile(folder / "layers.csv")
            rows = []
            for iteration in MEASURED:
                growth = (GROWTH if iteration == 0 else 1 / GROWTH) if plain else 1.0
                rows += layers_at(iteration, experiment.spec.depth, growth, seed)
            file.append(rows)
            seal(folder)


def layers_at(iteration: int, depth: int, growth: float, seed: int = 0) -> list[LayerRecord]:
    """The rows of one iteration: two convolutions a block; seed s shifts responses by s/100."""
    rows = []
    for layer in range(depth + 1):
        block, first = divmod(layer, 2)
        convolution = 0 < layer < depth
        name = "conv" if layer == 1 else f"stages.{block % 3}.{block}.conv{2 - first}"
        rows.append(
            LayerRecord(
                iteration=iteration,
                layer=layer,
                name=name if convolution else ("input" if layer == 0 else "linear"),
                stage=min(block, 3) if convolution else None,
                kind="conv3x3" if convolution else ("input" if layer == 0 else "linear"),
                response_deviation=_response(iteration, layer, seed) if convolution else None,
                activation_deviation=0.5 + layer / 100,
                activation_gradient_norm=0.01 * growth ** (depth - 1 - layer),
                gradient_correlation=1 - (depth - layer) / (2 * depth),
                weight_norm=None if layer == 0 else 10.0,
                weight_gradient_norm=None if layer == 0 else 0.1,
                update_ratio=None if layer == 0 else 0.001 * layer,
            )
        )
    return rows


def _response(iteration: int, layer: int, seed: int) -> float:
    """1 at initialisation; later 0.1, 0.2, ... from layer to layer, plus the seed's shift."""
    return 1.0 if iteration == 0 else layer / 10 + seed / 100
