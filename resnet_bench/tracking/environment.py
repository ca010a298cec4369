"""The mode and the settings of W&B, from its environment variables, its login, and defaults here.

W&B's environment variables override the settings here. A key is looked for, never stored.
"""

import configparser
import netrc
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from resnet_bench.errors import UserError
from resnet_bench.paths import ROOT
from resnet_bench.tracking import variables

PROJECT = "resnet_bench"
# Names the job of a cluster that this process is a part of: with it the groups of its runs begin.
JOB = "RESNET_BENCH_JOB"
Mode = Literal["online", "offline", "disabled"]

# W&B's values of WANDB_MODE, with those of its older versions.
MODES: dict[str, Mode] = {
    "online": "online",
    "run": "online",
    "shared": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
}

# The service's present and former host: a login for either is valid.
HOSTS = ("api.forge.coreweave.com", "api.wandb.ai")

SETTINGS: dict[str, Any] = {
    "silent": True,
    "console": "off",  # W&B would capture a sweep's progress bar
    "disable_git": True,  # run.json has the commit
    "save_code": False,
    "sagemaker_disable": True,  # it would give all networks of a job one id
    "init_timeout": 10.0,  # seconds; W&B's default is 90
    "finish_timeout": 10.0,  # seconds; W&B's default is to wait without limit
    "finish_timeout_raises": True,
    # Seconds of records that W&B loses if the process is killed; its default is 15.
    "x_transaction_log_flush_interval": 1.0,
    "x_save_requirements": False,  # run.json has the versions
}


def prepare_environment() -> None:
    """Add the variables in .env unless they are set, and remove what is not for our runs.

    Raises UserError if .env cannot be read.
    """
    path = ROOT / ".env"
    if path.exists():  # else python-dotenv need not be installed
        from dotenv import load_dotenv

        try:
            load_dotenv(path, encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f".env: cannot be read: {error}") from error
    for line in variables.clean():
        print(line, file=sys.stderr)


def choose_mode(requested: Mode | None = None) -> Mode:
    """`requested`, else WANDB_MODE, else online if there is a key or a login, else offline.

    Without wandb installed "disabled", unless a mode is asked for. Call it once in a process,
    before the first run. Raises UserError for an unknown WANDB_MODE, or if wandb is missing.
    """
    wanted = requested or os.environ.get("WANDB_MODE")
    if wanted and wanted not in MODES:
        raise UserError(f"WANDB_MODE is {wanted!r}; it can be online, offline or disabled")
    if find_spec("wandb") is None:
        if wanted and MODES[wanted] != "disabled":
            raise UserError(f"W&B is to be {wanted!r}, and wandb is not installed")
        return "disabled"
    if wanted:
        return MODES[wanted]
    settings = _settings_file()
    if wanted := settings.get("mode"):  # set by `wandb offline`
        return MODES.get(wanted, "offline")
    return "online" if has_credentials() else "offline"


def has_credentials() -> bool:
    """Whether W&B would find a key or a login; searches the same places without importing it."""
    environment = os.environ
    if environment.get("WANDB_API_KEY") or environment.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    settings = _settings_file()
    if settings.get("api_key"):
        return True
    address = environment.get("WANDB_BASE_URL") or settings.get("base_url")
    return any(_in_netrc(host) for host in ([urlsplit(address).netloc] if address else HOSTS))


def settings_for(mode: Mode, known: set[str], *, load: bool) -> dict[str, Any]:
    """SETTINGS that are `known` to this version of W&B and not set by an environment variable.

    The run logs the load of machine and GPU if it is to log the `load`.
    """
    settings: dict[str, Any] = {"mode": mode}
    for name, value in (SETTINGS | {"x_disable_stats": not load}).items():
        variable = "WANDB_" + re.sub("^x_", "_", name).upper()  # x_ is __: WANDB__SAVE_REQUIREMENTS
        if name in known and not os.environ.get(variable):
            settings[name] = value
    return settings


def unless_set(defaults: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    """Arguments of wandb.init, by variable: one would win over its variable, which a user sets."""
    return {name: value for key, (name, value) in defaults.items() if not os.environ.get(key)}


def _settings_file() -> dict[str, str]:
    """W&B's settings files: the working directory's override the user's."""
    user = _home(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read([user / "settings", Path("wandb", "settings")], encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
    return dict(parser["default"]) if parser.has_section("default") else {}


def _in_netrc(host: str) -> bool:
    files = [os.environ.get("NETRC"), "~/.netrc", "~/_netrc"]
    try:
        path = next((p for f in files if f and (p := _home(f)).exists()), None)
        return path is not None and netrc.netrc(path).authenticators(host) is not None
    except (netrc.NetrcParseError, OSError):
        return False


def _home(path: str) -> Path:
    """The path with ~ as the user's home; as it is, and so not there, where no home is known."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises RuntimeError
