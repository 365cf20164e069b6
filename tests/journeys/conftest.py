"""What the stories are told with."""

from collections.abc import Iterator

import pytest

from tests.journeys.server import Installation, installation


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for all stories of a process; each makes its own workspace."""
    with installation(tmp_path_factory.mktemp("installation")) as started:
        yield started
