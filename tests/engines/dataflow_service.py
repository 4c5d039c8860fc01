"""A stand-in for the Dataflow service on loopback: takes jobs by its REST interface, runs each locally, reports it
done.

In: a job as Beam submits it, with its graph staged in a local folder. Out: the job as JSON and the graph, for
assertions; and what the graph writes. It shows that what is submitted is whole and in order, and nothing of the real
service's scheduling or rights.
"""

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns, python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

__all__ = ["Job", "Service", "dataflow_service"]

MIN_RAM = common_urns.resource_hints.MIN_RAM_BYTES.urn


@dataclass
class Job:
    """A job that was submitted: its JSON and its graph."""

    json: dict[str, Any]
    graph: beam_runner_api_pb2.Pipeline

    @property
    def name(self) -> str:
        return str(self.json["name"])

    @property
    def pool(self) -> dict[str, Any]:
        """The one pool of workers."""
        (pool,) = self.json["environment"]["workerPools"]
        return dict(pool)

    @property
    def labels(self) -> set[str]:
        """The names of all steps, as the console shows them."""
        return {transform.unique_name for transform in self.graph.components.transforms.values()}

    @property
    def memory(self) -> set[bytes]:
        """What the environments of the steps ask for, in bytes as decimal text."""
        components = self.graph.components
        used = {step.environment_id for step in components.transforms.values() if step.environment_id}
        hints = [components.environments[name].resource_hints for name in used]
        return {hint[MIN_RAM] for hint in hints if MIN_RAM in hint}


@dataclass
class Service:
    """The running stand-in."""

    address: str = ""
    jobs: list[Job] = field(default_factory=list)
    run_jobs: bool = True
    states: dict[str, str] = field(default_factory=dict)

    def submit(self, job: dict[str, Any]) -> dict[str, Any]:
        """Takes a job and runs it to its end."""
        staged = Path(job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"])
        graph = beam_runner_api_pb2.Pipeline.FromString(staged.read_bytes())
        self.jobs.append(Job(job, graph))
        number = f"job-{len(self.jobs)}"
        self.states[number] = self._run(graph) if self.run_jobs else "JOB_STATE_DONE"
        return {**job, "id": number, "currentState": self.states[number]}

    def _run(self, graph: beam_runner_api_pb2.Pipeline) -> str:
        local = beam_runner_api_pb2.Pipeline()
        local.CopyFrom(graph)
        for environment in local.components.environments.values():
            environment.urn, environment.payload = python_urns.EMBEDDED_PYTHON, b""
        try:
            FnApiRunner().run_via_runner_api(local, PipelineOptions([])).wait_until_finish()
        except Exception:
            logging.exception("a job failed")
            return "JOB_STATE_FAILED"
        return "JOB_STATE_DONE"


@contextlib.contextmanager
def dataflow_service() -> Iterator[Service]:
    """Runs the stand-in while the block runs."""
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(service.submit(body))

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.endswith("/messages"):
                self._answer({"jobMessages": []})
            else:
                number = path.rpartition("/")[2]
                self._answer({"id": number, "currentState": service.states[number]})

        def _answer(self, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    service.address = f"http://localhost:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
