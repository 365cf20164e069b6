"""A few requests to every operation of the payout API, made from its own document; `make fuzz` makes many."""

from pathlib import Path

import pytest

from tests.fuzzing import fuzz


@pytest.mark.journey
def test_no_operation_contradicts_its_document(tmp_path: Path) -> None:
    done = fuzz(tmp_path, examples=3, seed=1, capture=True)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
