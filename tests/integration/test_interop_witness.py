"""Somebody else's witness cosigns our log by our client, and refuses another history of it."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from support.histories import History, make_history
from support.interop import find
from support.witnessed_log import WITNESS_SIGNING_KEYS, WITNESSES
from vetonet.errors import VetonetError, WitnessQuorumError
from vetonet.service.publishing import Publisher, Publishing
from vetonet.tlog.add_checkpoint import AddCheckpoint, parse_cosignatures
from vetonet.tlog.cosignature import WitnessKey, cosign
from vetonet.tlog.policy import (
    CosignedCheckpoint,
    LogPolicy,
    WitnessGroup,
    assemble_cosigned,
    verify_cosigned,
)
from vetonet.tlog.witness import (
    StaleCheckpointError,
    UnprovenCheckpointError,
    WitnessState,
    judge_checkpoint,
)
from vetonet.wire.http_witness import HttpWitness

NAME = "witness.example/aics"
LOG = make_history(20)
PROGRAM = find("aics-witness")

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="aics-witness is not installed in .interop; run .ci/install-interop"
)


class Hired:
    """A running witness of somebody else's making."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, folder / "witness.json"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        options = ("--name", NAME, "--listen", self.address, "--db", "witness.db", "--key-file", "key")
        said = self.run("init", *options)
        self.key = WitnessKey.from_vkey(next(word for word in said.split() if word.startswith(f"{NAME}+")))
        self.run("add-log", "--origin", LOG.log.origin, "--vkey", LOG.log_key.to_vkey())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def policy(self) -> LogPolicy:
        """Our log, and this witness, which has to have cosigned."""
        return LogPolicy(log_keys=(LOG.log_key,), quorum=self.key)

    def start(self) -> None:
        command = [str(PROGRAM), "serve", "--config", str(self.config), "--log-level", "ERROR"]
        self._process = subprocess.Popen(command, cwd=self.folder)
        host, port = self.address.split(":")
        for _ in range(200):
            with socket.socket() as tried:
                if tried.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("the witness did not begin")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def ask(self, history: History, old_size: int, size: int) -> CosignedCheckpoint:
        """What our client makes of its answer, held to our policy."""
        request = history.ask(old_size, size)
        with HttpWitness(f"http://{self.address}") as witness:
            answer = asyncio.run(witness.add_checkpoint(request))
        cosigned = assemble_cosigned(request.signed, parse_cosignatures(answer), self.policy)
        return verify_cosigned(cosigned.data, self.policy)

    def post(self, body: bytes) -> int:
        """The status of its answer to these bytes."""
        connection = HTTPConnection(self.address, timeout=20)
        try:
            connection.request("POST", "/add-checkpoint", body)
            return connection.getresponse().status
        finally:
            connection.close()

    def run(self, *arguments: str) -> str:
        command = [str(PROGRAM), arguments[0], "--config", str(self.config), *arguments[1:]]
        ended = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout + ended.stderr


@pytest.fixture
def hired(tmp_path: Path) -> Iterator[Hired]:
    witness = Hired(tmp_path)
    witness.start()
    yield witness
    witness.stop()


def test_it_cosigns_our_log_as_it_grows_and_after_its_restart(hired: Hired) -> None:
    assert hired.ask(LOG, 0, 5).checkpoint == LOG.log.checkpoint(5)
    assert hired.ask(LOG, 5, 5).cosignatures[0].witness == hired.key
    assert hired.ask(LOG, 5, 9).checkpoint.tree_size == 9
    hired.stop()
    hired.start()
    assert hired.ask(LOG, 9, 20).checkpoint == LOG.log.checkpoint(20)


@pytest.mark.parametrize("size", [5, 8])
def test_it_refuses_another_history_and_our_client_says_so(hired: Hired, size: int) -> None:
    hired.ask(LOG, 0, 5)
    with pytest.raises(UnprovenCheckpointError, match="refuses the consistency proof"):
        hired.ask(LOG.fork(3), 5, size)
    assert hired.ask(LOG, 5, 9).checkpoint.tree_size == 9


def test_it_tells_our_client_which_size_it_knows(hired: Hired) -> None:
    hired.ask(LOG, 0, 9)
    with pytest.raises(StaleCheckpointError) as caught:
        hired.ask(LOG, 5, 12)
    assert caught.value.known_size == 9


def test_it_refuses_a_log_that_it_does_not_know(hired: Hired) -> None:
    with pytest.raises(VetonetError):
        hired.ask(make_history(origin="other.example/log"), 0, 3)


def test_it_answers_the_published_cases_as_a_witness_of_ours_has_to(hired: Hired, shared: Path) -> None:
    cases = json.loads((shared / "vectors/c2sp-tlog/witness-cases.json").read_text("utf-8"))
    hired.stop()
    for log in cases["logs"]:
        hired.run("add-log", "--origin", log["origin"], "--vkey", log["vkey"])
    hired.start()
    for case in cases["cases"]:
        assert hired.post(case["Body"].encode()) == case["status"], case["Desc"]


def test_our_publisher_reaches_its_quorum_with_it(hired: Hired) -> None:
    stored: list[CosignedCheckpoint] = []

    async def store(cosigned: CosignedCheckpoint) -> None:
        stored.append(cosigned)

    async def publish() -> None:
        with HttpWitness(f"http://{hired.address}") as witness:
            arguments: dict[str, Any] = {"log_key": LOG.key, "policy": hired.policy, "store": store}
            publishing = Publishing(witnesses={NAME: witness}, interval_s=0)
            publisher = Publisher(LOG.log, publishing=publishing, newest=None, **arguments)
            await publisher.publish()
            await publisher.stop()

    asyncio.run(publish())
    assert [cosigned.checkpoint for cosigned in stored] == [LOG.log.checkpoint()]


class OwnWitness:
    """A witness by our rules, in this process."""

    key = WITNESSES[0]

    def __init__(self) -> None:
        self.state = WitnessState(logs={LOG.log.origin: (LOG.log_key,)})

    async def add_checkpoint(self, request: AddCheckpoint) -> bytes:
        self.state, _ = judge_checkpoint(self.state, request)
        signing_key = WITNESS_SIGNING_KEYS[self.key.name]
        checkpoint = request.signed.checkpoint
        line = cosign(checkpoint, name=self.key.name, signing_key=signing_key, timestamp_s=1_700_000_000)
        return f"{line.to_line()}\n".encode()


async def publish_by_both(hired: Hired, history: History, own: OwnWitness) -> CosignedCheckpoint:
    """What is published where it takes their witness and ours."""
    quorum = WitnessGroup(threshold=2, members=(hired.key, own.key))

    async def store(_: CosignedCheckpoint) -> None:
        return None

    with HttpWitness(f"http://{hired.address}") as witness:
        publisher = Publisher(
            history.log,
            log_key=history.key,
            policy=LogPolicy(log_keys=(LOG.log_key,), quorum=quorum),
            publishing=Publishing(witnesses={NAME: witness, own.key.name: own}, interval_s=0),
            store=store,
        )
        return await publisher.publish()


def test_it_makes_a_quorum_with_a_witness_of_ours(hired: Hired) -> None:
    cosigned = asyncio.run(publish_by_both(hired, LOG, OwnWitness()))
    assert {line.witness for line in cosigned.cosignatures} == {hired.key, OwnWitness.key}


def test_nothing_of_another_history_is_published_where_it_is_needed(hired: Hired) -> None:
    asyncio.run(publish_by_both(hired, LOG, OwnWitness()))
    with pytest.raises(WitnessQuorumError, match=NAME):
        asyncio.run(publish_by_both(hired, LOG.fork(3), OwnWitness()))


def test_it_keeps_our_signatures_of_two_histories_as_evidence(hired: Hired) -> None:
    hired.ask(LOG, 0, 5)
    other = LOG.fork(3)
    with pytest.raises(UnprovenCheckpointError):
        hired.ask(other, 5, 5)
    [kept] = json.loads(hired.run("evidence"))
    assert kept["request"].encode() == other.body(5, 5)
    assert LOG.log.checkpoint(5).to_text() in kept["witness_latest_note"]
