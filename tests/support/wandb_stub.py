"""A W&B server for tests, on the loopback address: as much of the protocol as a run needs.

It keeps what a real one keeps, the rows of each run at the offsets they are sent to, and can be
told to fail in the ways real ones do.
"""

import contextlib
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

KEY = "0123456789abcdef" * 2 + "01234567"  # of the form of W&B's keys

Trouble = Literal["none", "error", "refuse", "hang"]


@dataclass
class StubRun:
    """One run as the server knows it."""

    config: dict[str, Any] = field(default_factory=dict)
    upserts: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)  # of JSON lines
    exit_code: int | None = None
    mistakes: list[str] = field(default_factory=list)  # gaps, and lines sent anew and changed
    alerts: list[str] = field(default_factory=list)  # "title: text"
    artifact: dict[str, bytes] = field(default_factory=dict)  # its files, once it is committed

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history, without W&B's own columns."""
        rows = [json.loads(line) for line in self.files.get("wandb-history.jsonl", [])]
        return [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]

    @property
    def epochs(self) -> list[int]:
        return [row["schedule/epoch"] for row in self.rows]

    @property
    def summary(self) -> dict[str, Any]:
        lines = self.files.get("wandb-summary.json", ["{}"])
        return json.loads(lines[-1])

    def receive(self, name: str, offset: int, lines: list[str]) -> None:
        """Put `lines` at `offset` of a file; a summary is one line, replaced."""
        there = self.files.setdefault(name, [])
        if name != "wandb-summary.json":
            if offset > len(there):
                self.mistakes.append(f"{name}: a gap from {len(there)} to {offset}")
            again = there[offset : offset + len(lines)]
            if again != lines[: len(again)]:
                self.mistakes.append(f"{name}: changed lines at {offset}")
        there[offset : offset + len(lines)] = lines


class Stub(ThreadingHTTPServer):
    """The server. `trouble` may change at any moment; `go_away` drops every connection."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.runs: dict[str, StubRun] = {}
        self.views: dict[str, dict[str, Any]] = {}  # saved workspaces, by name
        self.uploads: dict[str, bytes] = {}  # of artifacts, by "run id/name"
        self.trouble: Trouble = "none"
        self.only: str | None = None  # trouble only where the request's path or query has this
        self.lock = threading.Lock()
        self._closing = threading.Event()
        self._connections: set[Any] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.go_away()

    def go_away(self) -> None:
        """Stop, as a server that is switched off: what is open breaks, what comes is refused."""
        if not self._closing.is_set():
            self._closing.set()
            self.shutdown()
            self.server_close()
            self._thread.join()
            with self.lock:
                for connection in self._connections:
                    with contextlib.suppress(OSError):  # closed already
                        connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that left."""

    def hang(self) -> None:
        self._closing.wait()

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self.lock:
            self._connections.add(request)
        super().finish_request(request, client_address)

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/graphql":
            return {"data": self._graphql(body["query"], body.get("variables") or {})}
        if match := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", path):
            self._file_stream(self.runs[match.group(1)], body)
        return {}

    def _file_stream(self, run: StubRun, body: dict[str, Any]) -> None:
        for name, chunk in (body.get("files") or {}).items():
            run.receive(name, chunk["offset"], chunk["content"])
        if body.get("complete"):
            run.exit_code = body["exitcode"]

    def _graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertBucket(" in query:
            return {"upsertBucket": self._upsert(variables)}
        if "bucket(" in query:
            return {"model": self._resume_status(variables["name"])}
        if "createRunFiles(" in query:  # an empty answer to this one breaks wandb-core
            return {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": []}}
        if "upsertView(" in query:
            return {"upsertView": self._upsert_view(variables)}
        if "allViews(" in query:
            view = self.views.get(variables["viewName"])
            return {"project": {"allViews": {"edges": [{"node": view}] if view else []}}}
        if "notifyScriptableRunAlert(" in query:
            text = f"{variables['title']}: {variables['text']}"
            self.runs[variables["runName"]].alerts.append(text)
        if "rtifact" in query:
            return self._artifact(query, variables)
        if "viewer" in query:
            return {"viewer": {"id": "1", "username": "tester", "entity": "tester", "flags": "{}"}}
        return {}

    def _artifact(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """An artifact's id is its run's; it is there once it is committed."""
        asked = variables.get("input", variables)
        if "createArtifact(" in query:
            artifact = {"id": asked["runName"], "state": "PENDING"}
            artifact |= {"artifactSequence": {"id": "1", "latestArtifact": None}}
            return {"createArtifact": {"artifact": artifact}}
        if "createArtifactManifest(" in query:
            file = self._upload(asked["artifactID"], "manifest")
            return {"createArtifactManifest": {"artifactManifest": {"id": "1", "file": file}}}
        if "createArtifactFiles(" in query:
            files = [
                self._upload(file["artifactID"], file["name"]) for file in asked["artifactFiles"]
            ]
            return {"createArtifactFiles": {"files": {"edges": [{"node": one} for one in files]}}}
        if "commitArtifact(" in query:
            start = f"{asked['artifactID']}/"
            there = {key: value for key, value in self.uploads.items() if key.startswith(start)}
            names = {key.removeprefix(start): value for key, value in there.items()}
            self.runs[asked["artifactID"]].artifact = names
            return {"commitArtifact": {"artifact": {"id": asked["artifactID"], "digest": "1"}}}
        return {"project": {"artifact": None}}  # there is none of this name yet

    def _upload(self, run_id: str, name: str) -> dict[str, Any]:
        """Where a file is to be sent to."""
        place = {"uploadUrl": f"{self.url}/upload/{run_id}/{name}", "uploadHeaders": []}
        place |= {"id": "1", "name": name, "displayName": name, "storagePath": name}
        return place | {"uploadMultipartUrls": None, "artifact": {"id": run_id}}

    def _upsert(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["name"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, StubRun())
        run.upserts.append(variables)
        config = json.loads(variables["config"] or "{}")
        run.config |= {key: entry["value"] for key, entry in config.items()}
        entity = {"id": "1", "name": variables["entity"] or "tester"}
        project = {"id": "1", "name": variables["project"], "entity": entity}
        bucket = {"id": "1", "name": name, "displayName": variables["displayName"]}
        bucket |= {"config": variables["config"], "project": project}
        bucket |= {"historyLineCount": len(run.files.get("wandb-history.jsonl", []))}
        return {"bucket": bucket, "inserted": inserted}

    def _upsert_view(self, variables: dict[str, Any]) -> dict[str, Any]:
        """A view without an id is a new one, whatever its name."""
        name = variables["name"]
        inserted = "id" not in variables
        view_id = f"view-{len(self.views)}" if inserted else variables["id"]
        key = f"{name}, again" if inserted and name in self.views else name
        self.views[key] = {"id": view_id, "name": name} | {
            field: variables[field] for field in ("displayName", "spec")
        }
        return {"view": self.views[key], "inserted": inserted}

    def _resume_status(self, name: str) -> dict[str, Any]:
        project: dict[str, Any] = {"id": "1", "name": "resnet_bench"}
        project |= {"entity": {"id": "1", "name": "tester"}, "bucket": None}
        if run := self.runs.get(name):
            lines = {
                kind: run.files.get(f"wandb-{kind}.jsonl", []) for kind in ("history", "events")
            }
            bucket: dict[str, Any] = {
                "id": "1",
                "name": name,
                "displayName": name,
                "logLineCount": 0,
            }
            for kind, there in lines.items():
                bucket |= {f"{kind}LineCount": len(there), f"{kind}Tail": json.dumps(there[-1:])}
            bucket |= {"summaryMetrics": json.dumps(run.summary)}
            bucket |= {"config": json.dumps({k: {"value": v} for k, v in run.config.items()})}
            project["bucket"] = bucket | {"tags": [], "notes": None, "wandbConfig": '{"t": 1}'}
        return project


class _Handler(BaseHTTPRequestHandler):
    server: Stub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        server = self.server
        concerned = server.only is None or server.only in self.path + body.get("query", "")
        trouble = server.trouble if concerned else "none"
        if trouble == "hang":
            server.hang()
            self.close_connection = True
        elif trouble == "error":
            self._reply(500, {"error": "internal error"})
        elif trouble == "refuse" or "Authorization" not in self.headers:
            self._reply(401, {"error": "invalid API key"})
        else:
            with server.lock:
                answer = server.answer(self.path, body)
            self._reply(200, answer)

    def do_PUT(self) -> None:
        contents = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.uploads[self.path.removeprefix("/upload/")] = contents
        self._reply(200, {})

    def do_GET(self) -> None:
        self._reply(404, {})

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _reply(self, status: int, answer: dict[str, Any]) -> None:
        contents = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(contents)))
        self.end_headers()
        self.wfile.write(contents)
