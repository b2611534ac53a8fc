"""hypothesis without a time limit for an example, and botocore's models read once a process."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from botocore.loaders import create_loader
from hypothesis import settings

settings.register_profile("slipway", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("slipway")


@pytest.fixture(scope="session", autouse=True)
def one_loader() -> Iterator[None]:
    """Each session would read the services' models anew: tens of megabytes, most of a test's time.

    botocore keeps them by loader and changes none; a session in a test gets the one that there is.
    """
    loader = create_loader()
    with patch("botocore.session.create_loader", lambda search_path_string=None: loader):
        yield
