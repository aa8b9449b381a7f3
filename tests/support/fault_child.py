"""A process to be struck by faults: opens a log or a witness, waits for the word, does one thing and tells.

    python -m support.fault_child log|witness FOLDER SOCKET

Words go through a socket, whose system calls are not among those that are made to fail. Whatever was
acknowledged was sent before the next thing began.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.histories import make_history
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import VetonetError
from vetonet.party.witness import Witness
from vetonet.service.publishing import Publishing
from vetonet.service.tile_log import TileLog
from vetonet.storage import AsyncJournal, FileTileStore, SqliteJournal
from vetonet.tlog.add_checkpoint import AddCheckpoint
from vetonet.tlog.cosignature import WitnessKey, cosign
from vetonet.tlog.note import LogKey
from vetonet.tlog.policy import LogPolicy
from vetonet.tlog.witness import trust_by_name

ORIGIN, WITNESS = "log.example/faults", "witness.example/faults"
LOG_SIGNING_KEY = generate_ed25519(SeededRng(b"log"))
WITNESS_SIGNING_KEY = generate_ed25519(SeededRng(b"witness"))
LOG_KEY = LogKey(name=ORIGIN, public_key=LOG_SIGNING_KEY.public_key)
POLICY = LogPolicy(log_keys=(LOG_KEY,), quorum=WitnessKey.of_ed25519(WITNESS, WITNESS_SIGNING_KEY.public_key))
SIZE = 255
"""Leaves before the fault: the next two fill a tile and begin another."""

NEW_LEAVES = (b"the last of a tile", b"the first of the next")
HISTORY = make_history(origin=ORIGIN)
SEEN, NEXT = 2, 5
"""Sizes that the witness cosigned before the fault, and is asked to cosign in it."""

NOW_S = 1_800_000_000
_PR_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


class TellingWitness:
    """Cosigns everything, and first says what it was handed: nothing of that may be taken back."""

    def __init__(self, say: Say) -> None:
        self._say = say

    async def add_checkpoint(self, request: AddCheckpoint) -> bytes:
        checkpoint = request.signed.checkpoint
        self._say(f"handed {checkpoint.tree_size} {checkpoint.root_hash.hex()}")
        line = cosign(checkpoint, name=WITNESS, signing_key=WITNESS_SIGNING_KEY, timestamp_s=NOW_S)
        return f"{line.to_line()}\n".encode()


class Say:
    """Sends a line to whoever watches."""

    def __init__(self, watcher: socket.socket) -> None:
        self._watcher = watcher

    def __call__(self, line: str) -> None:
        self._watcher.sendall(f"{line}\n".encode())

    def await_word(self) -> None:
        """Ready; wait until told to go on."""
        self("ready")
        self._watcher.recv(1)


async def open_log(folder: Path, say: Say) -> TileLog:
    """The log in the folder; it publishes when told to."""
    for name in ("journal", "tiles"):
        (folder / name).mkdir(exist_ok=True)
    return await TileLog.start(
        AsyncJournal(SqliteJournal.open(folder / "journal")),
        FileTileStore(folder / "tiles"),
        policy=POLICY,
        log_key=LOG_SIGNING_KEY,
        publishing=Publishing(witnesses={WITNESS: TellingWitness(say)}, interval_s=0),
        clock=lambda: NOW_S * 1000,
    )


def open_witness(journal: SqliteJournal) -> Witness:
    """The witness with this memory."""
    return Witness.open(
        journal, name=WITNESS, signing_key=WITNESS_SIGNING_KEY, logs=trust_by_name((HISTORY.log_key,))
    )


async def append_once(folder: Path, say: Say) -> None:
    """One append, and the publication of it; one thread does the files, so that its calls can be counted."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    log = await open_log(folder, say)
    say.await_word()
    try:
        say(f"leaves {await log.append(NEW_LEAVES, request_id='new')}")
        cosigned = await log.publisher.publish()
        say(f"published {cosigned.checkpoint.tree_size} {cosigned.checkpoint.root_hash.hex()}")
    except VetonetError as error:
        say(f"refused {error.reason}: {error}")
    try:
        await log.close()
    except VetonetError as error:
        say(f"refused {error.reason}: {error}")
    end(say)


def witness_once(folder: Path, say: Say) -> None:
    """One update of a witness."""
    journal = SqliteJournal.open(folder)
    witness = open_witness(journal)
    say.await_word()
    try:
        line = witness.add_checkpoint(HISTORY.body(SEEN, NEXT), NOW_S)
        say(f"cosigned {line.decode().strip()}")
    except VetonetError as error:
        say(f"refused {error.reason}: {error}")
    try:
        journal.close()
    except VetonetError as error:
        say(f"refused {error.reason}: {error}")
    end(say)


def end(say: Say) -> None:
    """The operation is over: what the interpreter and the event loop close after it is nobody's log."""
    say("ended")
    os._exit(0)


def main(kind: str, folder: Path, watcher: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)  # the tracer is no parent of this process
    say = Say(socket.socket(fileno=watcher))
    if kind == "log":
        asyncio.run(append_once(folder, say))
    else:
        witness_once(folder, say)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
