"""Streams that do their work as late as events allow: what was not waited for is seen undone.

In place of torch.cuda for a `LaneStep` on a CPU. The main stream does everything at once; a lane
does nothing before somebody waits for it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from tests.support.recording import Recording, record_graph

IN_PLACE = (torch.ops.aten.copy_.default, torch.ops.aten.fill_.Scalar)
NEW = (torch.ops.aten.zeros_like.default,)


class Event(NamedTuple):
    stream: "LateStream"
    position: int  # in all the work of the stream


@dataclass
class LateStream:
    """Work that is given is put off until it is waited for."""

    work: list[Callable[[], object]] = field(default_factory=list)
    done: int = 0

    def record_event(self) -> Event:
        return Event(self, len(self.work))

    def wait_event(self, event: Event) -> None:
        """A lane's own wait: what it waits for is the main stream's, and done."""
        assert not event.stream.work

    def catch_up(self, position: int) -> None:
        while self.done < position:
            self.work[self.done]()
            self.done += 1


class MainStream(LateStream):
    def wait_event(self, event: Event) -> None:
        event.stream.catch_up(event.position)


class PutOff(TorchDispatchMode):
    """Puts off what writes in place; a lane may do little else outside its graphs."""

    def __init__(self, stream: LateStream) -> None:
        super().__init__()
        self.stream = stream

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function in NEW:
            return function(*args, **(kwargs or {}))
        assert function in IN_PLACE, function
        self.stream.work.append(lambda: function(*args, **(kwargs or {})))
        return args[0]


class LateReplay(NamedTuple):
    recording: Recording
    stream: LateStream

    def replay(self) -> None:
        self.stream.work.append(self.recording.replay)


class LateStreams:
    """In place of the module torch.cuda."""

    def __init__(self) -> None:
        self.main = MainStream()
        self.lanes: list[LateStream] = []
        self.furthest = 0  # behind, that a lane was
        self.Stream = self._stream

    def _stream(self, _: torch.device) -> LateStream:
        self.lanes.append(LateStream())
        return self.lanes[-1]

    def current_stream(self, _: torch.device) -> MainStream:
        return self.main

    @contextmanager
    def stream(self, lane: LateStream) -> Iterator[None]:
        with PutOff(lane):
            yield
        self.furthest = max(self.furthest, len(lane.work) - lane.done)

    def capture(
        self,
        work: Callable[[], None],
        name: str,
        stream: LateStream,
        undone: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> LateReplay:
        """As CUDA's, which waits for the GPU before it begins."""
        with _disable_current_modes():
            self.synchronize()
            return LateReplay(record_graph(work, name, stream, undone), stream)

    def synchronize(self) -> None:
        for lane in self.lanes:
            lane.catch_up(len(lane.work))
