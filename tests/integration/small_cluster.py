"""As much of the Kubernetes API as an executor needs, on loopback: a container is a process here.

What this stands for is the cluster alone: client, jobs, commands and events are the real ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Cluster:
    """What was asked of the cluster.

    Attributes:
        jobs: Every job by name, as it was sent.
        processes: What runs for it.
    """

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, job: dict[str, Any]) -> None:
        """Runs the container of a new job; the environment of this process stands for the secret."""
        name = job["metadata"]["name"]
        container = job["spec"]["template"]["spec"]["containers"][0]
        given = {item["name"]: item["value"] for item in container["env"] if item.get("value") is not None}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.jobs[name] = job
        self.processes[name] = subprocess.Popen(container["args"], env=os.environ | given | {"PATH": path})

    def status(self, name: str) -> dict[str, int]:
        """A job's status, as Kubernetes counts."""
        code = self.processes[name].poll()
        return {"active": 1} if code is None else {"succeeded": 1} if code == 0 else {"failed": 1}


@contextmanager
def small_cluster(kubeconfig: Path) -> Iterator[Cluster]:
    """A cluster until the end of the block; writes how to reach it."""
    cluster = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            cluster.start(body)
            self.answer(body)

        def do_GET(self) -> None:
            resource, name = self.path.split("?")[0].removesuffix("/status").rsplit("/", 2)[-2:]
            if resource == "jobs" and name in cluster.jobs:
                self.answer(cluster.jobs[name] | {"status": cluster.status(name)})
            else:  # a list, of pods for instance
                self.answer({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []})

        def do_DELETE(self) -> None:
            self.answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})

        def answer(self, document: dict[str, Any]) -> None:
            text = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    try:
        yield cluster
    finally:
        server.shutdown()
        for process in cluster.processes.values():
            process.kill()
            process.wait()
