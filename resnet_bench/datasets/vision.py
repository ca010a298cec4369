"""torchvision, for everyone: `from resnet_bench.vision import datasets, v2`, never directly.

The wheel that package indices carry is built for CUDA's torch. Beside a CPU build of torch its
compiled library does not load, so the operators in it are missing, and importing torchvision
stops at the first one that it wants to describe. Nothing here calls these operators (they are
for detection), so it is enough that they exist.
"""

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _declare_missing_operators(error: RuntimeError) -> torch.library.Library:
    """Declare torchvision's operators that torch lacks; raises `error` if it is about others."""
    # Only the missing ones, and only after a failure: declaring an operator twice raises.
    missing = [
        schema
        for schema in _SCHEMAS
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0])
    ]
    if "operator torchvision::" not in str(error) or not missing:
        raise error
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in missing:
        library.define(schema)
    return library


try:
    import torchvision
except RuntimeError as error:
    _kept = _declare_missing_operators(error)  # the operators live as long as this object
    import torchvision  # noqa: F401

from torchvision import datasets, models  # noqa: E402
from torchvision.transforms import v2  # noqa: E402

__all__ = ["datasets", "models", "v2"]
