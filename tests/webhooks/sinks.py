"""A sink on loopback that answers as it is told, and remembers what it was sent."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answering = Callable[[int], int]
"""How often a message has come → status to answer."""


@dataclass
class Sink:
    """What came in: (headers, body) in the order of arrival."""

    url: str = ""
    answering: Answering = lambda _: 204
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def messages(self) -> list[str]:
        """Ids of what came in."""
        with self.lock:
            return [headers["webhook-id"] for headers, _ in self.received]

    @property
    def documents(self) -> list[Any]:
        """Bodies of what came in."""
        with self.lock:
            return [json.loads(body) for _, body in self.received]


@contextmanager
def sink(answering: Answering = lambda _: 204) -> Iterator[Sink]:
    """A sink that runs."""
    made = Sink(answering=answering)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with made.lock:
                made.received.append((headers, body))
                times = sum(seen["webhook-id"] == headers["webhook-id"] for seen, _ in made.received)
            self.send_response(made.answering(times))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
