"""Fails every test, whatever it is about, in which a secret leaves its owner (docs/leakage.md)."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.leak_taps import TAPS, Leak, install


class LeakError(AssertionError):
    """A test's secrets got out."""


class LeakPlugin:
    """Looks through what each test let out, after the test and the last of its fixtures."""

    def __init__(self) -> None:
        """Nothing was looked at yet."""
        self._folders: list[Path] = []
        self._spent_s = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, None, None]:
        """After the test's own teardown: nothing secret may have got out in it."""
        yield
        started = time.perf_counter()
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        if folder is not None:
            TAPS.read_files(folder)
        leaks = TAPS.take_leaks()
        is_last = nextitem is None or nextitem.path != item.path
        TAPS.forget_the_dead(of_all=is_last)
        self._spent_s += time.perf_counter() - started
        if leaks and item.get_closest_marker("leaks_on_purpose") is None:
            raise LeakError("secrets got out:\n" + "\n".join(map(str, leaks)))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what looking cost."""
        if terminalreporter.verbosity > 0:
            terminalreporter.write_line(
                f"leaks: {TAPS.total_bytes / 1e6:.1f} MB looked through for {TAPS.total_secrets} secrets "
                f"({len(TAPS.net)} spellings at the end) in {self._spent_s:.2f} s"
            )


@contextmanager
def leaks_expected() -> Iterator[list[Leak]]:
    """Within, leaks are caught and listed instead of failing the test: the list is filled at the end."""
    before = TAPS.take_leaks()
    caught: list[Leak] = []
    yield caught
    caught += TAPS.take_leaks()
    TAPS.leaks += before


def activate(config: pytest.Config) -> None:
    """The taps are in place, and the plugin listens."""
    install()
    config.addinivalue_line("markers", "leaks_on_purpose: this test gives secrets away, and that is right")
    config.pluginmanager.register(LeakPlugin(), "vetonet-leaks")
