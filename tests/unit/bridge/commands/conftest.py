"""Every test of the commands is without a keyring, as in CI."""

from collections.abc import Iterator

import keyring
import pytest

from tests.unit.bridge.store.parts import NULL


@pytest.fixture(autouse=True)
def _no_keyring() -> Iterator[None]:
    """Keep tests out of their user's own keyring."""
    before = keyring.get_keyring()
    keyring.set_keyring(NULL)
    yield
    keyring.set_keyring(before)
