"""The shapes command: what an image becomes, part by part, for any experiment."""

import sys

import pytest

from resnet_bench import __main__ as command_line
from resnet_bench.commands.shapes import network_stages
from resnet_bench.datasets.definitions import InputShape
from resnet_bench.networks.sizes import network_size
from resnet_bench.suites.suite import find_experiment


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[list[list[str]], str]:
    """The words of each line that the command prints, and what it says is wrong."""
    monkeypatch.setattr(sys, "argv", ["resnet_bench", "shapes", *arguments])
    with pytest.raises(SystemExit):
        command_line.main()
    output, errors = capsys.readouterr()
    return [line.split() for line in output.splitlines()], errors


def test_the_table_of_the_d2l_book(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("tutorials/d2l-resnet18", "--input", "1x224x224")
    lines, _ = printed(monkeypatch, capsys, *arguments)
    assert lines == [
        ["part", "output", "parameters"],
        ["images", "1x224x224", "0"],
        ["stem", "64x56x56", "3,328"],
        ["stage", "1", "64x56x56", "148,224"],
        ["stage", "2", "128x28x28", "525,952"],
        ["stage", "3", "256x14x14", "2,100,480"],
        ["stage", "4", "512x7x7", "8,395,264"],
        ["pooling", "512x1x1", "0"],
        ["flatten", "512", "0"],
        ["linear", "10", "5,130"],
        ["total", "11,178,378"],
    ]


def test_without_an_input_it_is_the_experiments_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, _ = printed(monkeypatch, capsys, "tutorials/d2l-resnet18")
    assert lines[1:3] == [["images", "1x96x96", "0"], ["stem", "64x24x24", "3,328"]]
    lines, _ = printed(monkeypatch, capsys, "tutorials/d2l-resnet18", "--set", "recipe.resize=32")
    assert lines[1:3] == [["images", "1x32x32", "0"], ["stem", "64x8x8", "3,328"]]


def test_within_a_block(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("tutorials/d2l-resnet18", "--input", "1x224x224", "--block", "2.1")
    lines, _ = printed(monkeypatch, capsys, *arguments)
    assert lines == [
        ["part", "output", "parameters"],
        ["input", "64x56x56", "0"],
        ["conv1", "128x28x28", "73,856"],
        ["bn1", "128x28x28", "256"],
        ["conv2", "128x28x28", "147,584"],
        ["bn2", "128x28x28", "256"],
        ["projection", "128x28x28", "8,320"],
        ["output", "128x28x28", "0"],
        ["total", "230,272"],
    ]
    _, errors = printed(monkeypatch, capsys, "smoke/plain-8", "--block", "4.1")
    assert errors == "error: --block '4.1': stage and block, from 1.1 to 3.1\n"


@pytest.mark.parametrize("text", ["224", "1x224", "1x224x112", "0x8x8", "1x8x8x8", "axbxb"])
def test_an_input_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    lines, errors = printed(monkeypatch, capsys, "smoke/plain-8", "--input", text)
    assert not lines
    assert errors.startswith(f"error: --input '{text}': write channels x side x side")


def test_images_that_the_stages_cannot_halve(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, errors = printed(monkeypatch, capsys, "smoke/plain-8", "--input", "1x30x30")
    assert not lines
    assert "images of 30 pixels a side cannot be halved twice" in errors


def test_a_cifar_network() -> None:
    parts = network_stages(find_experiment("cifar10/resnet-56-A"), InputShape(3, 32, 10))
    shapes = [part.shape for part in parts]
    assert shapes == [
        (16, 32, 32),
        (16, 32, 32),
        (32, 16, 16),
        (64, 8, 8),
        (64, 1, 1),
        (64,),
        (10,),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "tutorials/d2l-plain18-maxpool",
        "tutorials/cifar10-tutorial",
        "digits-variants/plain-20-preactivation",
        "digits-variants/resnet-56-A-bottleneck",
        "fashion/resnet-18-B",
    ],
)
def test_the_parts_are_the_whole(name: str) -> None:
    """Pre-activation's last norm among them."""
    experiment = find_experiment(name)
    parts = network_stages(experiment, experiment.images)
    size = network_size(experiment.spec, experiment.images)
    assert sum(part.parameters for part in parts) == size.parameters
    assert parts[-1].shape == (10,)
