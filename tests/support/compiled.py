"""The fused norm's kernels, compiled for an H100 (compute capability 9.0) without a GPU.

`TRITON_INTERPRET=0 python -m tests.support.compiled fp32 16` prints what the compiler says of those
for float32 maps of 16 channels, a line of JSON each.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from resnet_bench.gpu import norm_kernels
from resnet_bench.gpu.norm_operations import BLOCKS, FINISH, TILE

NO_SUM = {"add": False, "added": None}
NO_GRADIENT = {"add": False, "y": None, "of_added": None}
KERNELS: list[tuple[str, dict[str, Any]]] = [
    ("block_statistics", {"tiles": 1}),
    ("block_statistics", {"tiles": 3}),
    ("finish_statistics", {"each": 256}),
    ("write_maps", {"relu": False} | NO_SUM),
    ("write_maps", {"relu": True} | NO_SUM),
    ("write_maps", {"relu": True, "add": True}),
    ("block_gradients", {"relu": False, "tiles": 1} | NO_GRADIENT),
    ("block_gradients", {"relu": True, "tiles": 1} | NO_GRADIENT),
    ("block_gradients", {"relu": True, "tiles": 1, "add": True}),
    ("finish_gradients", {}),
    ("write_gradients", {"relu": False}),
    ("write_gradients", {"relu": True}),
]
NUMBERS = {"momentum": "fp32", "epsilon": "fp32", "rows": "i32", "channels": "i32", "blocks": "i32"}
MAPS = ("x", "y", "added", "gradient", "of_x", "of_added")


def compiled(name: str, constants: dict[str, Any], kind: str, width: int) -> dict[str, Any]:
    """Registers, shared memory and spilled bytes; loads of maps, those of 16 bytes; atomics."""
    finish = name.startswith("finish")
    sizes = {"most": BLOCKS, "width": FINISH} if finish else {"height": TILE // width}
    constants = {"width": width} | sizes | constants
    names = getattr(norm_kernels, name).arg_names
    types = NUMBERS | dict.fromkeys(MAPS, f"*{kind}") | dict.fromkeys(constants, "constexpr")
    signature = {each: types.get(each, "*fp32") for each in names}
    # As pointers of PyTorch's tensors are, and the numbers of rows and channels of these networks.
    whole = [each for each, type_ in signature.items() if type_ == "i32" or type_[0] == "*"]
    source = ASTSource(
        getattr(norm_kernels, name),
        signature,
        {(names.index(each),): value for each, value in constants.items()},
        {(names.index(each),): [["tt.divisibility", 16]] for each in whole},
    )
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
        command = [str(tool), "--dump-resource-usage", file.name]
        usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {key: int(value) for key, value in re.findall(r"(\w+):(\d+)", usage)}
    code = made.asm["ptx"]
    return {
        "kernel": name,
        **{key: value for key, value in constants.items() if key in ("add", "relu", "tiles")},
        "registers": found["REG"],
        "shared": made.metadata.shared,
        "spilled": found["STACK"] + found["LOCAL"],
        "loads": len(re.findall(r"ld\.global", code)),
        "wide loads": len(re.findall(r"ld\.global\S*\.v4", code)),
        "atomics": len(re.findall(r"\b(?:atom|red)\.(?:\w+\.)*global", code)),
    }


if __name__ == "__main__":
    for name, constants in KERNELS:
        print(json.dumps(compiled(name, constants, sys.argv[1], int(sys.argv[2]))), flush=True)
