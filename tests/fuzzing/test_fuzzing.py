"""A few requests to every operation, made from the documents of both surfaces; `make fuzz` makes many."""

from pathlib import Path

import pytest

from tests.fuzzing import SURFACES, fuzz


@pytest.mark.journey
@pytest.mark.parametrize("surface", SURFACES)
def test_no_operation_contradicts_its_document(tmp_path: Path, surface: str) -> None:
    done = fuzz(tmp_path, surface=surface, examples=3, seed=1, capture=True)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
