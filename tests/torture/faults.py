"""Faults at system calls: faults.c, compiled and loaded, and children that run into them."""

import ctypes
import enum
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resnet_bench.errors import FROM_OUTSIDE, in_one_line

SOURCE = Path(__file__).with_name("faults.c")
HANG_SECONDS = 120  # far more than a trial needs
COMPILER = shutil.which("cc")


class Kind(enum.IntEnum):
    """As in faults.c."""

    COUNT = 0
    KILL = 1  # before the call
    TEAR = 2  # a write is done by half, another call whole; then the process is killed
    FULL = 3  # from this call on the disk is full
    FAIL = 4  # this call alone fails: an input/output error
    JUMP = 5  # from this call on the clock is wrong


@dataclass(frozen=True)
class Fault:
    kind: Kind = Kind.COUNT
    call: int = 1
    seconds: int = 0  # that the clock jumps
    folder: Path = Path("/nowhere")

    def in_words(self) -> str:
        return f"{self.kind.name} at call {self.call} {self.seconds or ''}"

    def environment(self) -> dict[str, str]:
        """For a command that starts with faults.c loaded."""
        return {"FAULTS": f"{self.kind.value} {self.call} {self.seconds} {self.folder}"}


@dataclass(frozen=True)
class Ended:
    """How a process has ended."""

    code: int  # negative for a signal
    errors: str
    calls: int = 0

    def in_words(self) -> str:
        return f"exit code {self.code}: {self.errors[-300:]!r}"

    def wrong(self) -> str:
        """What nobody should see, in words; "" if it is a line a mistake, or nothing."""
        if self.code == -signal.SIGALRM:
            return "hung"
        if "Traceback" in self.errors:
            return f"a traceback: {self.errors.strip().splitlines()[-1]}"
        lines = [line for line in self.errors.splitlines() if line.startswith("error: ")]
        if self.code == 2 and not lines:
            return f"exit code 2 without a line: {self.errors!r}"
        return ""


def reload_with_faults() -> None:
    """Start this program again with faults.c loaded, unless it is."""
    if "torture" in os.environ.get("LD_PRELOAD", ""):
        return
    assert COMPILER is not None
    library = Path(tempfile.mkdtemp(prefix="torture-")) / "faults.so"
    command = [COMPILER, "-shared", "-fPIC", "-O1", "-U_FORTIFY_SOURCE", str(SOURCE)]
    subprocess.run([*command, "-o", str(library), "-ldl"], check=True)
    os.environ["LD_PRELOAD"] = str(library)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def in_child(work: Callable[[], None], fault: Fault, errors: Path) -> Ended:
    """Do `work` in a fork of this process, which runs into `fault`; `errors` gets its stderr.

    torch is imported already, so that a trial takes a fraction of a second.
    """
    counted, pipe = os.pipe()
    child = os.fork()
    if child == 0:
        os._exit(_work(work, fault, errors, pipe))
    os.close(pipe)
    with os.fdopen(counted, "rb") as reader:
        calls = reader.read()
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), errors.read_text(), int(calls or 0))


def _work(work: Callable[[], None], fault: Fault, errors: Path, pipe: int) -> int:
    """The child's life; returns its exit code."""
    signal.alarm(HANG_SECONDS)
    sys.stderr = sys.stdout = errors.open("w", buffering=1)
    faults = ctypes.CDLL(None)
    faults.faults_arm(str(fault.folder).encode(), fault.kind, fault.call, fault.seconds)
    code = 0
    try:
        work()
    except FROM_OUTSIDE as error:  # as the command line does
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        code = 2
    except BaseException:
        traceback.print_exc()
        code = 1
    os.write(pipe, str(faults.faults_count()).encode())
    faults.faults_arm(b"", Kind.COUNT, 0, 0)
    return code
