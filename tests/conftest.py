"""Fixtures that every suite shares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc.aio
import pytest

from support.leak_plugin import activate
from vetonet.crypto.rng import SeededRng

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_configure(config: pytest.Config) -> None:
    """Whatever a test is about, it fails if a secret gets out in it."""
    activate(config)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The third-party vectors and data that lie beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("../shared (third-party vectors and data) is not beside the repository")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def grpc_for_the_whole_process() -> None:
    """gRPC's own thread runs until the process ends, through all the event loops of the tests.

    Else it is joined whenever the last channel or server is collected, which may be in the middle of any
    other test, and waits there for ever if a call of a loop that is long closed has not ended.
    """
    grpc.aio.init_grpc_aio()


@pytest.fixture
def rng() -> SeededRng:
    """Reproducible randomness, fresh for each test."""
    return SeededRng(b"test")


@pytest.fixture
def make_rng() -> Callable[[str], SeededRng]:
    """A named reproducible stream."""
    return lambda seed: SeededRng(seed.encode())
