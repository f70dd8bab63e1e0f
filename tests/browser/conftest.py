"""One Chromium for all tests that look at pages."""

from collections.abc import Iterator

import pytest

from tests.browser.chromium import CHROMIUM, chromium


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; each test has a tab of its own, which knows nothing of the others."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium-headless-shell")
    with chromium(tmp_path_factory.mktemp("profile")) as address:
        yield address
