"""Where Triton's kernels run in tests: on a GPU, else on the CPU by Triton's interpreter."""

from importlib.util import find_spec

import pytest
import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="Triton is not installed; on Linux make test installs it"
)
