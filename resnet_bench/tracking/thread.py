"""The only thread of a process that calls W&B, so that training never waits for it.

The first failure prints a warning, later ones nothing. After a failure of the server, new runs
are offline, and records that it has not received stay on disk.
"""

import contextlib
import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

from resnet_bench.errors import UserError
from resnet_bench.tracking.attempts import Attempt, find_attempts
from resnet_bench.tracking.environment import Mode, settings_for
from resnet_bench.tracking.variables import remove_refused, use_home

WAIT_SECONDS = 60.0  # the longest wait for the calls sent so far
ADD = "`make sync` adds"


def _log_to_terminal(line: str) -> None:
    from tqdm import tqdm  # writes above a progress bar

    tqdm.write(line, file=sys.stderr)


_warning_sink: Callable[[str], object] = _log_to_terminal


def set_warning_sink(log: Callable[[str], object]) -> None:
    """Pass the process's one warning to `log`, which a WandbThread will call.

    A sweep's workers send it to their parent, which prints the first one.
    """
    global _warning_sink
    _warning_sink = log


class WandbThread(threading.Thread):
    """Executes calls one after the other, in the order of sending."""

    def __init__(self) -> None:
        super().__init__(name="wandb", daemon=True)
        self._calls: SimpleQueue[tuple[Callable[[], None], threading.Event]] = SimpleQueue()
        self._open: list[Any] = []  # W&B runs
        self._server_failed = False
        self._warned = False
        self._patience = WAIT_SECONDS
        self.start()

    def send(self, call: Callable[[], None]) -> threading.Event:
        """Queue `call`; returns an event that is set once it has been executed."""
        done = threading.Event()
        self._calls.put((call, done))
        return done

    def wait_for(self, done: threading.Event) -> None:
        """Wait until `done`; after a first wait of WAIT_SECONDS in vain, not any more."""
        if not done.wait(self._patience):
            self._patience = 0.0
            self.upload_failed("no answer")

    def run(self) -> None:
        while True:
            call, done = self._calls.get()
            try:
                call()
            except BaseException as error:  # wandb.teardown can raise SystemExit
                self.warn(f"{_one_line(error)}; W&B lacks records, which {ADD}")
            done.set()

    def open_run(self, arguments: dict[str, Any], online: bool, folder: Path) -> Any:
        """A W&B run that writes to `folder`; offline if not `online` or if the server fails.

        Raises OSError if the folder cannot be written, and W&B's exceptions if offline fails too.
        """
        problems = remove_refused()
        os.environ.setdefault("WANDB_SILENT", "true")  # keeps a sweep's progress bar intact
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):  # W&B would take a temporary folder
            raise PermissionError(f"{folder} cannot be written")
        use_home(folder)
        self._server_failed |= bool(problems)  # which may have named the server, or the account
        if online and not self._server_failed:
            before = find_attempts(folder, arguments["id"])
            try:
                return self._init(arguments, "online")
            except Exception as error:
                self._server_failed = True
                problems.append(_one_line(error))
                self._remove_failed(set(find_attempts(folder, arguments["id"])).difference(before))
        try:
            run = self._init(arguments, "offline")
        except Exception as error:
            raise UserError("; ".join([*problems, _one_line(error)])) from error
        if problems:
            self.warn(f"{'; '.join(problems)}; logged offline")
        return run

    def gave_up(self, run: Any) -> bool:
        """Whether the server has failed that the run is sent to."""
        return self._server_failed and not run.offline

    def close_run(self, run: Any, exit_code: int) -> None:
        self._open.remove(run)
        if self.gave_up(run):
            # Each run waits for W&B's finish_timeout: all at the same time, in threads.
            threading.Thread(target=_finish_quietly, args=(run, exit_code), daemon=True).start()
            return
        try:
            run.finish(exit_code=exit_code)
        except TimeoutError as error:
            self.upload_failed(_one_line(error))
        if not run.offline and not self._server_failed:
            for attempt in find_attempts(Path(run.dir).parent.parent, run.id):
                attempt.mark.touch()

    def upload_failed(self, reason: str) -> None:
        """Warn, and do not wait for this server any more."""
        self._server_failed = True
        self.warn(f"{reason}; what the server has not received, {ADD}")

    def warn(self, message: str) -> None:
        """Print `message` as the process's one warning."""
        if not self._warned:
            self._warned = True
            _warning_sink(f"warning: W&B: {message} (training and CSVs continue)")

    def _init(self, arguments: dict[str, Any], mode: Mode) -> Any:
        import wandb
        from wandb.util import get_core_path

        logging.raiseExceptions = False  # W&B's own log, on a full disk: a traceback a line
        if not os.access(get_core_path(), os.X_OK):  # W&B would wait for it
            raise PermissionError(f"{get_core_path()} cannot be executed")
        # The load is the same for all runs of a process: the first of those alive logs it.
        settings = settings_for(mode, set(wandb.Settings.model_fields), load=not self._open)
        # Receives the messages that W&B does not print, as it is silenced.
        listener = SimpleNamespace(info=str, warning=self._hear, error=self._hear)
        wandb.termsetup(wandb.setup().settings, listener)
        # create_new: by default a second init in a process returns the first run.
        run = wandb.init(**arguments, reinit="create_new", settings=wandb.Settings(**settings))
        self._open.append(run)
        if run.id != arguments["id"]:  # rows of several networks would be in one run
            self.close_run(run, 1)
            raise UserError(f"W&B began the run {run.id} in place of {arguments['id']}")
        return run

    def _hear(self, message: str) -> None:
        if "error while uploading" in message:
            self.upload_failed("an upload failed")

    def _remove_failed(self, attempts: set[Attempt]) -> None:
        """Remove the files of a failed init, which would break the next one."""
        import wandb

        if not self._open:  # teardown ends all runs, so not while some are open
            wandb.teardown()
        for attempt in attempts:
            shutil.rmtree(attempt.path, ignore_errors=True)


_threads: dict[int, WandbThread] = {}  # by process id: a forked child has no threads


def thread_of_process() -> WandbThread:
    """The one of this process, begun at the first call."""
    if os.getpid() not in _threads:
        _threads[os.getpid()] = WandbThread()
    return _threads[os.getpid()]


def _finish_quietly(run: Any, exit_code: int) -> None:
    with contextlib.suppress(BaseException):  # the warning has been printed
        run.finish(exit_code=exit_code)


def _one_line(error: BaseException) -> str:
    """The first line of W&B's message: the others are advice. A refused key has no message."""
    if isinstance(error, UserError):
        return str(error)
    message = str(error).strip().partition("\n")[0].replace("<no message>", "refused")
    return f"{type(error).__name__}: {message}"
