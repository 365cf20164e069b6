"""Whether tests run in their full form: `make soak` does, `make test` takes the short one."""

import os
from typing import Final

IS_SOAK: Final = os.environ.get("SOAK") == "1"
