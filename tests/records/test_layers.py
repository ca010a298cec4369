"""layers.csv: what is written is what is read, and a torn writing is no measurement."""

import math
from pathlib import Path
from typing import Any

import pytest

from resnet_bench.errors import UserError
from resnet_bench.records.layers import (
    LAYER_COLUMNS,
    LayerRecord,
    LayersFile,
    by_iteration,
    gradient_growth,
)


def rows(iteration: int, *norms: float) -> list[LayerRecord]:
    """An iteration's rows: the input, a convolution for each of `norms`, the linear layer."""
    values: dict[str, Any] = {"iteration": iteration, "activation_deviation": 1 / 3}
    first = LayerRecord(
        layer=0, name="input", kind="input", activation_gradient_norm=0.1 + 0.2, **values
    )
    convolutions = [
        LayerRecord(
            layer=layer,
            name=f"stages.0.{layer}.conv1",
            stage=1,
            kind="conv3x3",
            response_deviation=1e-300,
            activation_gradient_norm=norm,
            update_ratio=math.pi,
            **values,
        )
        for layer, norm in enumerate(norms, start=1)
    ]
    last = LayerRecord(
        layer=len(norms) + 1,
        name="linear",
        kind="linear",
        activation_gradient_norm=math.inf,
        **values,
    )
    return [first, *convolutions, last]


@pytest.fixture
def file(tmp_path: Path) -> LayersFile:
    return LayersFile(tmp_path / "layers.csv")


def test_rows_are_read_back_bit_for_bit(file: LayersFile) -> None:
    assert file.rows() == []
    file.append(rows(0, 0.1, 1e300))
    file.append(rows(10, 2.0, 3.0))
    assert file.rows() == rows(0, 0.1, 1e300) + rows(10, 2.0, 3.0)
    header, first, second = file.path.read_text().splitlines()[:3]
    assert header == (
        "iteration,layer,name,stage,kind,response_deviation,activation_deviation,"
        "activation_gradient_norm,gradient_correlation,weight_norm,weight_gradient_norm,"
        "update_ratio,response_rank"
    )
    assert tuple(header.split(",")) == LAYER_COLUMNS
    assert first == "0,0,input,,input,,0.3333333333333333,0.30000000000000004,,,,,"
    assert second.startswith("0,1,stages.0.1.conv1,1,conv3x3,1e-300,")


def test_an_empty_file_gets_its_header(file: LayersFile) -> None:
    """A full disk leaves one, and a kill between opening and writing."""
    file.path.touch()
    file.append(rows(0, 0.1))
    assert file.rows() == rows(0, 0.1)


def test_a_file_without_the_newest_column_is_read_and_continued_with_it(file: LayersFile) -> None:
    file.append(rows(0, 1.0, 2.0))
    lines = file.path.read_text().splitlines()
    file.path.write_text("".join(line.rpartition(",")[0] + "\n" for line in lines))
    assert file.rows() == rows(0, 1.0, 2.0)
    file.keep_rows(0)  # as a resumed run does
    file.append(rows(10, 1.0, 2.0))
    assert file.rows() == rows(0, 1.0, 2.0) + rows(10, 1.0, 2.0)
    short = [line.rpartition(",")[0].rpartition(",")[0] for line in lines]
    file.path.write_text("".join(line.partition(",")[2] + "\n" for line in short))
    with pytest.raises(UserError, match="its columns are not those of this version"):
        file.rows()


def test_an_iteration_that_was_not_written_to_its_end_is_none_and_is_cut(file: LayersFile) -> None:
    file.append(rows(0, 1.0, 2.0))
    file.append(rows(10, 1.0, 2.0))
    whole = file.path.read_text()
    for cut in (1, 30, 100, 200):  # in the last row and in those before it
        file.path.write_text(whole[:-cut])
        assert file.rows() == rows(0, 1.0, 2.0)
        file.keep_rows(99)
        assert file.rows() == rows(0, 1.0, 2.0)
        file.append(rows(10, 1.0, 2.0))
        assert file.path.read_text() == whole
    assert [each[0].iteration for each in by_iteration(file.rows())] == [0, 10]
    assert list(by_iteration(rows(0, 1.0)[1:] + rows(10, 1.0)[:-1])) == []


def test_rows_past_the_checkpoint_are_cut(file: LayersFile) -> None:
    file.keep_rows(10)
    assert not file.path.exists()
    for iteration in (0, 10, 20):
        file.append(rows(iteration, 1.0))
    file.keep_rows(10)
    assert file.rows() == rows(0, 1.0) + rows(10, 1.0)
    file.keep_rows(-1)
    assert not file.path.exists()


def test_a_file_that_is_damaged(file: LayersFile) -> None:
    file.path.write_text("iteration,layer\n0,0\n")
    with pytest.raises(UserError, match="its columns are not those of this version"):
        file.rows()
    file.append(rows(0, 1.0))
    file.path.write_text(
        ",".join(LAYER_COLUMNS) + "\n" + ",".join(["x"] * len(LAYER_COLUMNS)) + "\n"
    )
    with pytest.raises(UserError, match="iteration: 'x' is not a number"):
        file.rows()


def test_the_growth_of_the_gradient_is_a_factor_a_layer_towards_the_input() -> None:
    assert gradient_growth(rows(0, 8.0, 4.0, 2.0)) == pytest.approx(2.0)
    assert gradient_growth(rows(0, 3.0, 3.0, 3.0)) == 1.0
    # Least squares through (1, 0), (2, 0), (3, log 4): half of log 4 a layer, away from the input.
    assert gradient_growth(rows(0, 1.0, 1.0, 4.0)) == pytest.approx(0.5)
    # What has no logarithm is left out.
    assert gradient_growth(rows(0, 4.0, 0.0, 1.0, math.nan)) == pytest.approx(2.0)
    assert gradient_growth(rows(0, math.inf, 4.0, 2.0)) == pytest.approx(2.0)
    assert gradient_growth(rows(0, 4.0, 0.0)) is None
