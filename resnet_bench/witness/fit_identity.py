"""Can a few layers fit the identity? Blocks are trained to hand on what they are given.

He et al. 2015, section 3.2: "the degradation problem suggests that the solvers might have
difficulties in approximating identity mappings by multiple nonlinear layers". Here that is all the
task: maps that no ReLU changes go in, the same maps are wanted, and the error is the mean squared
one over the maps' variance: 1 is what a constant output has, 0 the identity.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_bench.networks.cifar import Block
from resnet_bench.networks.initialization import generator, initialize
from resnet_bench.records import provenance
from resnet_bench.records.files import write_atomically
from resnet_bench.suites.network import NetworkSpec, Shortcut
from resnet_bench.suites.recipe import Recipe

BLOCKS = (1, 2, 4)  # of two layers
SHORTCUTS: tuple[Shortcut, ...] = ("none", "A")
SEEDS, ITERATIONS, EVERY = 3, 300, 10
IMAGES, WIDTH, SIDE = 16, 16, 8  # a batch of maps as in the first stage on the digits
LEARNING_RATE, MOMENTUM = 0.02, 0.9  # those of the suite digits
COLUMNS = "blocks,shortcut,seed,iteration,error,torch,processor,commit"


def maps(seed: int, iteration: int) -> Tensor:
    """A batch (IMAGES, WIDTH, SIDE, SIDE) as a ReLU leaves it: normal, negative ones zero."""
    drawn = generator(seed, f"maps {iteration}").standard_normal((IMAGES, WIDTH, SIDE, SIDE))
    return torch.from_numpy(drawn).float().relu()


def fit(blocks: int, shortcut: Shortcut, seed: int, iterations: int) -> list[tuple[int, float]]:
    """(iteration, error) every `EVERY` iterations, on a batch before it is trained on."""
    spec = NetworkSpec(depth=6 * blocks + 2, shortcut=shortcut)
    stack = nn.Sequential(*(Block(WIDTH, WIDTH, 1, spec) for _ in range(blocks)))
    initialize(stack, seed, Recipe(iterations=iterations))
    optimizer = torch.optim.SGD(stack.parameters(), LEARNING_RATE, MOMENTUM)
    errors = []
    for iteration in range(iterations + 1):
        x = maps(seed, iteration)
        error = F.mse_loss(stack(x), x) / x.var()
        if iteration % EVERY == 0:
            errors.append((iteration, error.item()))
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return errors


def rows(iterations: int = ITERATIONS, seeds: int = SEEDS) -> list[str]:
    """The lines of the CSV, `COLUMNS` first."""
    made = provenance.new_attempt(torch.device("cpu"), 1, 0, 0.0)
    commit = str(made["commit"] or "unknown")[:10] + (" and changes" if made["dirty"] else "")
    where = f"{made['versions']['torch']},{made['processor']},{commit}"
    return [COLUMNS] + [
        f"{blocks},{shortcut},{seed},{iteration},{error:.6g},{where}"
        for blocks in BLOCKS
        for shortcut in SHORTCUTS
        for seed in range(seeds)
        for iteration, error in fit(blocks, shortcut, seed, iterations)
    ]


def main() -> None:
    """`python -m resnet_bench.witness.fit_identity`: write fit-identity.csv, in some minutes."""
    parser = argparse.ArgumentParser("python -m resnet_bench.witness.fit_identity")
    parser.add_argument("--results", type=Path, default=Path("results"))
    path = parser.parse_args().results / "fit-identity.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    write_atomically(path, ("\n".join(rows()) + "\n").encode())
    print(f"{path}; its figure: python -m analysis.witness.fit_identity --results {path.parent}")


if __name__ == "__main__":
    main()
