"""The setting that `gpu-check` found fastest on this GPU; a sweep uses it unless told otherwise."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from resnet_bench.errors import UserError
from resnet_bench.suites.recipe import Precision

if TYPE_CHECKING:
    import torch

Norm = Literal["cudnn", "native", "fused"]  # norms.py says what they are
NORMS: tuple[Norm, ...] = get_args(Norm)
# Lanes some batches apart (lockstep.py), weights cast together (casts.py), evaluation in lanes
# (evaluation.py): each only after gpu-check found that it changes no bit.
Speedup = Literal["ring", "casts", "evaluation"]
SPEEDUPS: tuple[Speedup, ...] = get_args(Speedup)
FILE = "gpu-check.json"  # in the folder of the results


@dataclass(frozen=True)
class Setting:
    """How steps are executed; None where nothing was measured."""

    lanes: int | None = None
    norm: Norm | None = None
    speedups: tuple[Speedup, ...] = ()


def this_gpu(device: "torch.device") -> dict[str, Any]:
    """What a measurement holds for: another card or version has to be measured again."""
    import torch

    on_gpu = device.type == "cuda"
    return {
        "card": torch.cuda.get_device_name(device) if on_gpu else "CPU",
        "torch": str(torch.__version__),
        "cudnn": torch.backends.cudnn.version() if on_gpu else None,
    }


def measured_setting(results: Path, device: "torch.device", precision: Precision) -> Setting:
    """The fastest setting that results/gpu-check.json has for this GPU.

    Raises UserError if the file cannot be read.
    """
    path = results / FILE
    if not path.exists():
        return Setting()
    try:
        found = json.loads(path.read_text())
        same = {key: found[key] for key in this_gpu(device)} == this_gpu(device)
        fastest = found["fastest"].get(precision) if same else None
        if fastest is None:
            return Setting()
        usable = fastest.get("speedups", ())  # a version before tried none
        speedups = tuple(speedup for speedup in SPEEDUPS if speedup in usable)
        return Setting(fastest["lanes"], fastest["norm"], speedups)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read; delete it, or run gpu-check again") from error
