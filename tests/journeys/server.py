"""A whole installation as `make run` starts it, in a folder and on a port of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

TREE = Path(__file__).resolve().parents[2]
START_SECONDS, STOP_SECONDS = 120, 60
_OWN_SERVERS = ("DATABASE_URL", "REDIS_URL", "DATABASE_URL_FILE", "REDIS_URL_FILE", "DJANGO_SETTINGS_MODULE")


@dataclass(frozen=True)
class Installation:
    """A running web server, worker and scheduler over servers of their own."""

    url: str
    environment: dict[str, str]

    def redis(self, *words: str) -> None:
        """Send a command to its Redis."""
        code = "import os, sys, redis; redis.Redis.from_url(os.environ['REDIS_URL']).execute_command(*sys.argv[1:])"
        program = f"from alliantra import embedded; embedded.ensure_services(); {code}"
        command = [sys.executable, "-c", program, *words]
        subprocess.run(command, cwd=TREE, env=self.environment, check=True, capture_output=True)

    def signal_redis(self, number: int) -> None:
        """Send a signal to its Redis."""
        pid = (Path(self.environment["DATA_DIR"]) / "run" / "redis.pid").read_text().split()[0]
        os.kill(int(pid), number)

    def manage(self, *arguments: str) -> str:
        """Last line that a management command printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=TREE,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip().splitlines()[-1]

    def client(self, key: str) -> httpx.Client:
        """An HTTP client that uses `key`."""
        limits = httpx.Limits(max_keepalive_connections=8)
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=120, limits=limits, trust_env=False
        )


@contextmanager
def installation(data_dir: Path, **further: str) -> Iterator[Installation]:
    """Start everything under `data_dir`, with `further` settings, and stop it again."""
    port = _free_port()
    inherited = {name: value for name, value in os.environ.items() if name not in _OWN_SERVERS}
    environment = {
        **inherited,
        "PORT": str(port),
        "DATA_DIR": str(data_dir),
        "DEMO": "0",
        "RATE_LIMIT_PER_MINUTE": "0",
        "LOG_LEVEL": "WARNING",
        **further,
    }
    command = [sys.executable, "-m", "alliantra.supervisor"]
    with (data_dir / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=TREE, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}", process, data_dir / "server.log")
            yield Installation(f"http://127.0.0.1:{port}", environment)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_ready(url: str, process: subprocess.Popen[Any], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("The installation did not come up:\n" + log.read_text()[-4_000:])
