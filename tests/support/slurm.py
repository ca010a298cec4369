"""A cluster of Slurm on this machine: two nodes, each with a GPU that is none."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=1,sched_interval=1
SlurmdParameters=config_overrides
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 Gres=gpu:1
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 Gres=gpu:1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str:
    """Why there can be no such cluster here; "" if there can."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    if missing := [program for program in PROGRAMS if not shutil.which(program, path=path)]:
        return f"{', '.join(missing)} not installed (Debian: slurmctld slurmd slurm-client munge)"
    return "" if os.getuid() == 0 else "Slurm's daemons need root to start jobs"


class Cluster:
    """Calls of Slurm's commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
        }

    def call(self, *command: str, text: str = "") -> str:
        result = subprocess.run(
            command, input=text, text=True, capture_output=True, env=self.environment, check=False
        )
        assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        return result.stdout

    def states(self, job: str) -> dict[str, dict[str, str]]:
        """What Slurm knows of each job of an array, by its index."""
        lines = self.call("scontrol", "show", "job", "--oneliner", job).splitlines()
        known = [dict(word.partition("=")[::2] for word in line.split()) for line in lines]
        return {each["ArrayTaskId"]: each for each in known if each}


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start the daemons, and end them."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [each.getsockname()[1] for each in sockets]
    host = socket.gethostname().partition(".")[0]
    text = CONFIGURATION.format(folder=folder, ports=ports, host=host, user="root")
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text("NodeName=one,two Name=gpu File=/dev/null\n")
    (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
    (folder / "munge.key").chmod(0o400)
    found = Cluster(folder)
    munge = ["--socket", "munge.socket", "--key-file", "munge.key", "--pid-file", "munge.pid"]
    munge += ["--log-file", "munge.log", "--seed-file", "munge.seed"]
    munge = [part if part.startswith("--") else str(folder / part) for part in munge]
    daemons = [["munged", "--foreground", "--force", *munge], ["slurmctld", "-D"]]
    daemons += [["slurmd", "-D", "-N", node] for node in ("one", "two")]
    with ExitStack() as stack:
        for number, command in enumerate(daemons):
            log = stack.enter_context((folder / f"{command[0]}-{number}.log").open("w"))
            daemon = stack.enter_context(
                subprocess.Popen(command, stdout=log, stderr=log, env=found.environment)
            )
            stack.callback(daemon.terminate)
            while command[0] == "munged" and not (folder / "munge.socket").exists():
                time.sleep(0.1)
        while ready(found) < 2:
            time.sleep(0.2)
        yield found


def ready(found: Cluster) -> int:
    """How many nodes wait for jobs."""
    command = ["sinfo", "--noheader", "-N", "-o", "%t"]
    result = subprocess.run(command, text=True, capture_output=True, env=found.environment)
    return result.stdout.split().count("idle")
