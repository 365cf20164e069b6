"""A few requests to every operation, made from the documents of both surfaces; `make fuzz` makes many."""

from collections.abc import Iterator

import pytest

from tests.fuzzing import SURFACES, fuzz
from tests.journeys.server import Installation, installation


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that nothing else runs against."""
    with installation(tmp_path_factory.mktemp("fuzzed")) as running:
        yield running


@pytest.mark.journey
@pytest.mark.parametrize("surface", SURFACES)
def test_no_operation_contradicts_its_document(fuzzed: Installation, surface: str) -> None:
    done = fuzz(fuzzed, surface=surface, examples=3, seed=1, is_brief=True)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
