"""W&B's environment variables: which of them are not for our runs, and which values W&B refuses."""

import os
import re
from pathlib import Path

from pydantic import ValidationError

from resnet_bench.suites.validation import one_line

# They name one run, or another process: set by W&B's agents, by launch jobs, and for the children
# of a process that has begun a run. With them all networks of a sweep would be one run.
OF_ANOTHER_RUN = (
    "WANDB_RUN_ID",
    "WANDB_RESUME",
    "WANDB_RESUME_FROM",
    "WANDB_FORK_FROM",
    "WANDB_SWEEP_ID",
    "WANDB_SWEEP_PARAM_PATH",
    "WANDB_LAUNCH",
    "WANDB_LAUNCH_CONFIG_PATH",
    "WANDB_SERVICE",
)
SECRET = re.compile("KEY|TOKEN|SECRET|HEADERS|PROXY|PASSWORD")


def clean() -> list[str]:
    """Remove what is not for our runs, and white space around values; returns what to tell.

    An empty value counts as none. Call it before wandb is imported, here or in a child.
    """
    for name in _names():
        value = os.environ[name].strip()
        if value:
            os.environ[name] = value
        else:
            del os.environ[name]
    found = [name for name in OF_ANOTHER_RUN if os.environ.pop(name, "")]
    if not found:
        return []
    return [f"W&B: {', '.join(found)} not used: every network is a W&B run of its own"]


def remove_refused() -> list[str]:
    """Remove the variables whose values W&B refuses; returns a sentence for each."""
    import wandb

    sentences = []
    for name in _names():
        try:
            wandb.Settings().update_from_env_vars({name: os.environ[name]})
        except Exception as error:  # pydantic's, or W&B's own
            reason = one_line(error) if isinstance(error, ValidationError) else str(error)
            sentences.append(f"{name}: {'not valid' if SECRET.search(name) else reason}")
            del os.environ[name]
    return sentences


def use_home(substitute: Path) -> None:
    """Have W&B write to `substitute` what it would to a home that is unknown or read-only.

    wandb-core's log would otherwise go to the terminal.
    """
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.expanduser raises RuntimeError
    if home == "~":
        os.environ["HOME"] = str(substitute.absolute())
    elif not os.access(home, os.W_OK | os.X_OK):
        os.environ.setdefault("WANDB_CACHE_DIR", str(substitute.absolute() / ".cache"))
        os.environ.setdefault("WANDB_DATA_DIR", str(substitute.absolute() / ".data"))


def without_secrets() -> dict[str, str]:
    """What may be told to another machine, whose own login has the key."""
    return {name: os.environ[name] for name in _names() if not SECRET.search(name)}


def _names() -> list[str]:
    return [name for name in os.environ if name.startswith("WANDB_")]
