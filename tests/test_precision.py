"""The device and precision that a run is executed with."""

import pytest
import torch
from members import CPU

from resnet_bench.errors import UserError
from resnet_bench.precision import autocast, executed_precision, find_device


def test_precision_is_what_the_device_can_do() -> None:
    assert executed_precision("tf32", CPU) == "ieee"
    assert executed_precision("bf16", CPU) == "bf16"
    assert executed_precision("tf32", torch.device("cuda")) == "tf32"
    layer = torch.nn.Linear(2, 2)
    with autocast("bf16", CPU):
        assert layer(torch.ones(1, 2)).dtype == torch.bfloat16
    with autocast("ieee", CPU):
        assert layer(torch.ones(1, 2)).dtype == torch.float32


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "mps", "cud"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(UserError, match=name):
        find_device(name)
