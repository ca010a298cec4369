"""The groups of a sweep as tasks of a Ray cluster, whose nodes need not share a disk.

A lost worker or node leaves in the results what a killed process does; the next try goes on.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import RayTaskError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from resnet_bench.errors import FROM_OUTSIDE, UserError
from resnet_bench.launchers.away import train_away
from resnet_bench.launchers.desk import Desk
from resnet_bench.suites.experiment import Run
from resnet_bench.sweeps.machine import Machine
from resnet_bench.sweeps.worker import Worker, environment_of_workers
from resnet_bench.tracking.variables import without_secrets

RETRIES = 10  # of a task whose worker or node is lost
# Ray shall not hide GPUs from a task that reserves none, and shall not report that it is used.
SETTINGS = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_USAGE_STATS_ENABLED": "0"}


@contextmanager
def connected(
    address: str | None, device: str | None, gpus_per_run: float | None
) -> Iterator["RayCluster"]:
    """The cluster at `address`, or one that Ray finds or starts; UserError if it cannot serve."""
    os.environ.update(SETTINGS)
    with environment_of_workers() as variables:
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
        try:
            ray.init(address, runtime_env={"env_vars": variables | SETTINGS}, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(f"no Ray cluster at {address}: {error}") from error
    try:
        gpus = device != "cpu" and ray.cluster_resources().get("GPU", 0)
        if not gpus and (gpus_per_run or device not in (None, "cpu")):
            raise UserError("the Ray cluster has no GPU")
        yield RayCluster("cuda" if gpus else "cpu", gpus_per_run)
    finally:
        ray.shutdown()  # ends what this process started, and nothing else


@dataclass
class RayCluster:
    """The events, the queue and the executor of a `Pool`, one after the other; as `Shared`."""

    device: str  # "cuda" or "cpu": of every task
    gpus_per_run: float | None  # a task is a run; None: a group, on one GPU
    events: list[threading.Event] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    tasks: list[Any] = field(default_factory=list)

    def event(self) -> threading.Event:
        self.events.append(threading.Event())
        return self.events[-1]

    def queue(self) -> "RayCluster":
        return self

    def get(self, timeout: float) -> Any:
        """The next report; raises queue.Empty. Passes on whether the tasks are to stop."""
        stop = [event.is_set() for event in self.events]
        while any(stop) and self.tasks:
            ray.cancel(self.tasks.pop())  # if it waits; one that has begun hears of the event
        self.reports = self.reports or ray.get(self.desk.take.remote(stop))
        if not self.reports:
            time.sleep(timeout)
            raise queue.Empty
        return self.reports.pop(0)

    @contextmanager
    def executor(self, worker: Worker) -> Iterator["RayCluster"]:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.machine = replace(worker.machine, device=self.device)
        self.desk: Any = ray.remote(num_cpus=0, scheduling_strategy=here)(Desk).remote(self.machine)
        try:
            yield self
        finally:
            ray.kill(self.desk)
            self.events, self.tasks = [], []

    def submit(self, _: Any, group: list[Run]) -> "Answer":
        gpus = (self.gpus_per_run or 1) if self.device == "cuda" else 0
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(_try)
        self.tasks.append(task.remote(self.desk, self.machine, group, without_secrets()))
        return Answer(self.tasks[-1])


def _try(desk: Any, machine: Machine, group: list[Run], variables: dict[str, str]) -> Any:
    def ask(method: str, *arguments: Any) -> Any:
        return Answer(getattr(desk, method).remote(*arguments)).result()

    return train_away(ask, machine, group, variables)


class Answer:
    """What a task or an actor returns; ray.get would lend the CPU of a task that waits."""

    def __init__(self, reference: Any) -> None:
        self.future = reference.future()
        self.done = self.future.done

    def result(self) -> Any:
        try:
            return self.future.result()
        except TaskCancelledError:
            return []
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, FROM_OUTSIDE) else error) from None
