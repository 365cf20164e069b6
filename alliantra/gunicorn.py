"""How gunicorn serves the application: `gunicorn -c python:alliantra.gunicorn alliantra.wsgi:application`."""

import gc
import os
from pathlib import Path
from typing import Any

bind = f"{os.environ.get('HOST') or '127.0.0.1'}:{os.environ.get('PORT') or '8000'}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS") or 2)
threads = int(os.environ.get("WEB_THREADS") or 8)
timeout = 60
graceful_timeout = 10
keepalive = 5
loglevel = "warning"
# Heartbeat files in memory: on a busy disk they would make living workers look dead.
MEMORY = Path("/dev/shm")  # noqa: S108 -- gunicorn makes files of its own with random names there
worker_tmp_dir = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
# Its default place is the home folder, which may be missing or read-only.
control_socket_disable = True


def post_worker_init(_worker: Any) -> None:
    """What is loaded by now stays: the collector need not look through it again, 0.1 s at a time."""
    gc.collect()
    gc.freeze()
