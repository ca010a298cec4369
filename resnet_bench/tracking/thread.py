"""The one thread of a process that talks to W&B, so that nothing else ever waits for it.

What fails in there is said once on the terminal and costs nothing more: a server that does not
answer turns the runs that follow to offline, and what it has not got stays on disk.
"""

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from resnet_bench.tracking.attempts import Attempt, find_attempts
from resnet_bench.tracking.environment import Mode, settings_for

WAIT_SECONDS = 60.0  # at most, for all that has been sent


def _to_terminal(line: str) -> None:
    from tqdm import tqdm  # knows how to write above a progress bar

    tqdm.write(line, file=sys.stderr)


_warning_sink: Callable[[str], object] = _to_terminal


def set_warning_sink(announce: Callable[[str], object]) -> None:
    """Have `announce` called with the process's one warning, from the thread's thread.

    A sweep's workers hand it to their parent, which owns the terminal and says it once.
    """
    global _warning_sink
    _warning_sink = announce


class WandbThread(threading.Thread):
    """Carries out calls one after the other, in the order sent."""

    def __init__(self) -> None:
        super().__init__(name="wandb", daemon=True)
        self._calls: SimpleQueue[tuple[Callable[[], None], threading.Event]] = SimpleQueue()
        self._open: list[Any] = []  # W&B runs
        self._server_failed = False
        self._warned = False
        self._patience = WAIT_SECONDS
        self.start()

    def send(self, call: Callable[[], None]) -> threading.Event:
        """Have `call` carried out; the event is set when it has been."""
        done = threading.Event()
        self._calls.put((call, done))
        return done

    def wait_for(self, done: threading.Event) -> None:
        """Wait until `done`; in vain only once a process."""
        if not done.wait(self._patience):
            self._patience = 0.0
            self.upload_failed("no answer")

    def run(self) -> None:
        while True:
            call, done = self._calls.get()
            try:
                call()
            except BaseException as error:  # wandb.teardown can raise SystemExit
                self.warn(f"{_one_line(error)}; not everything is mirrored")
            done.set()

    def open_run(self, arguments: dict[str, Any], online: bool, folder: Path) -> Any:
        """A W&B run that writes to `folder`, offline where the server fails.

        Raises OSError if the folder cannot be written, and what W&B raises if offline fails too.
        """
        os.environ.setdefault("WANDB_SILENT", "true")  # a sweep's progress bar stays whole
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        _check_folder(folder)
        if online and not self._server_failed:
            there = find_attempts(folder, arguments["id"])
            try:
                return self._init(arguments, "online")
            except Exception as error:
                self._server_failed = True
                self.warn(f"{_one_line(error)}; going on offline")
                self._drop(set(find_attempts(folder, arguments["id"])).difference(there))
        return self._init(arguments, "offline")

    def close_run(self, run: Any, exit_code: int) -> None:
        self._open.remove(run)
        if self._server_failed and not run.offline:
            # As long as W&B's finish_timeout, for every run: at the same time, unwatched.
            threading.Thread(target=_finish_quietly, args=(run, exit_code), daemon=True).start()
            return
        try:
            run.finish(exit_code=exit_code)
        except TimeoutError as error:
            self.upload_failed(_one_line(error))
        if not run.offline and not self._server_failed:
            for attempt in find_attempts(Path(run.dir).parent.parent, run.id):
                attempt.mark_synced()

    def upload_failed(self, reason: str) -> None:
        """Nobody waits for this server any more."""
        self._server_failed = True
        self.warn(f"{reason}; what the server has not got is on disk, for a later sync")

    def warn(self, message: str) -> None:
        """Announce `message`, unless something has been announced before."""
        if not self._warned:
            self._warned = True
            _warning_sink(f"warning: W&B: {message} (training and CSVs go on)")

    def _init(self, arguments: dict[str, Any], mode: Mode) -> Any:
        import wandb

        settings = settings_for(mode, set(wandb.Settings.model_fields))
        wandb.termsetup(wandb.setup().settings, _Listener(self))
        # create_new: by default a second init in a process returns the first run.
        run = wandb.init(**arguments, reinit="create_new", settings=wandb.Settings(**settings))
        self._open.append(run)
        return run

    def _drop(self, attempts: set[Attempt]) -> None:
        """Remove what is left of a failed init, which would stand in the way of the next."""
        import wandb

        if not self._open:  # it ends all runs; with some open, this one cannot go offline
            wandb.teardown()
        for attempt in attempts:
            shutil.rmtree(attempt.path, ignore_errors=True)


class _Listener:
    """Hears what W&B, told to be silent, does not say on the terminal."""

    def __init__(self, thread: WandbThread) -> None:
        self._thread = thread

    def info(self, message: str) -> None:
        """Of no interest."""

    def warning(self, message: str) -> None:
        if "error while uploading" in message:
            self._thread.upload_failed("an upload failed")

    error = warning


def _finish_quietly(run: Any, exit_code: int) -> None:
    with contextlib.suppress(BaseException):  # it has been warned of
        run.finish(exit_code=exit_code)


def _check_folder(folder: Path) -> None:
    """Make `folder`; where it cannot be written W&B would hide the run among temporary files."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written")


def _one_line(error: BaseException) -> str:
    """The first line: W&B's others are advice on calling it. A refused key has no message."""
    message = str(error).strip().partition("\n")[0].replace("<no message>", "refused")
    return f"{type(error).__name__}: {message}"
