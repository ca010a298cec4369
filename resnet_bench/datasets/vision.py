"""The only import of torchvision: `from resnet_bench.datasets.vision import datasets, v2`.

torchvision's wheel on PyPI is built for CUDA. With a CPU build of torch its compiled library
does not load, so its operators are missing, and importing torchvision fails at the first one
that it registers a shape function for. These operators (for detection) are not called here, so
declaring them is enough.
"""

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _declare_missing_operators(error: RuntimeError) -> torch.library.Library:
    """Declare torchvision's missing operators; raises `error` if it has another cause."""
    # Declaring an operator twice raises, so only those that are missing, after a failure.
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
