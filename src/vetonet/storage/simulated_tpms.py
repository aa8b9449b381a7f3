"""Many simulated TPMs at once: one process and one state directory for each chip."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from vetonet.storage.swtpm import Swtpm, find_swtpm
from vetonet.storage.tpm2 import Tpm2Element, load_tss


def verify_tpms_installed() -> None:
    """Both that simulated TPMs need are there.

    Raises:
        ConfigError: swtpm or tpm2-pytss is not installed.
    """
    find_swtpm()
    load_tss()


@contextlib.contextmanager
def open_simulated_tpms(directory: Path, count: int) -> Iterator[tuple[Tpm2Element, ...]]:
    """Within, so many TPMs have power, each over a folder of its own; after it, whatever happened, none has.

    Raises:
        ConfigError: swtpm or tpm2-pytss is not installed.
        StorageError: a TPM cannot be started, or does not answer.
    """
    with contextlib.ExitStack() as stack:
        elements = []
        for number in range(1, count + 1):
            element = Tpm2Element.open(stack.enter_context(Swtpm.start(directory / f"tpm-{number:03}")))
            stack.callback(element.close)
            elements.append(element)
        yield tuple(elements)
