"""pytest plugin, loaded before Django: the servers that tests run against are up, and the settings know them."""

import os
from pathlib import Path

from alliantra import embedded

os.environ.setdefault("DATA_DIR", str(Path(__file__).resolve().parent.parent / ".data-test"))
os.environ.setdefault("EMBEDDED_DURABLE", "0")
os.environ.setdefault("RATE_LIMIT_PER_MINUTE", "0")
embedded.prepare_local()
