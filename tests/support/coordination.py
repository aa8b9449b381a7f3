"""A coordinator to talk to: by hand over a journal of choice, or as a real server with real certificates."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import grpc.aio

from support.firmware import FIRMWARE
from support.witnesses import make_witnesses, publish_by
from support.world import NOW_MS, Council
from vetonet.attestation.enrolment import AliasEndorsement, DeviceEnrolment, PeakRate
from vetonet.attestation.identity import issue_device_certificate
from vetonet.attestation.platform import SIMULATED
from vetonet.attestation.report import ReportBatch
from vetonet.crypto.keys import EcdsaSigningKey, SigningKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.statement import Signed, sign, sign_jointly
from vetonet.policy.proposal import Proposal
from vetonet.service.coordinator import Coordinator
from vetonet.service.publishing import Publishing
from vetonet.service.server import CoordinatorServer, ServerSettings, serve_coordinator
from vetonet.storage.group_commit import AsyncJournal
from vetonet.storage.journal import Journal, Record, StoredRecord
from vetonet.storage.memory import MemoryJournal
from vetonet.units import MS_PER_HOUR, Clock, Precision
from vetonet.v1.coordinator_pb2_grpc import CoordinatorServiceStub
from vetonet.v1.log_pb2_grpc import LogServiceStub
from vetonet.wire.channel import open_channel
from vetonet.wire.identity import Identity, Role
from vetonet.wire.pki import Authority, Credential, generate_authority

TRUST_DOMAIN: Final = "treaty.example"
CLOSE_MS: Final = NOW_MS + MS_PER_HOUR
TIMEOUT_S: Final = 15.0


class ManualClock:
    """Time that passes when a test says so."""

    def __init__(self, now: int = NOW_MS) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class FailingJournal(MemoryJournal):
    """A journal whose next appends fail as scripted, then work again."""

    __slots__ = ("errors",)

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Exception] = []

    def append(self, records: Sequence[Record]) -> tuple[int, ...]:
        if records and self.errors:
            raise self.errors.pop(0)
        return super().append(records)


class SlowJournal(MemoryJournal):
    """A journal whose appends take until ``release``, once ``hold`` was called."""

    __slots__ = ("_free",)

    def __init__(self) -> None:
        super().__init__()
        self._free = threading.Event()
        self._free.set()

    def hold(self) -> None:
        """Appends wait from now on."""
        self._free.clear()

    def release(self) -> None:
        """Appends that wait are made."""
        self._free.set()

    def append(self, records: Sequence[Record]) -> tuple[int, ...]:
        if not self._free.wait(TIMEOUT_S):
            raise TimeoutError("nobody released the journal")
        return super().append(records)


class KeptJournal:
    """A journal that outlives its coordinator: ``close`` only ends this use of it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def append(self, records: Sequence[Record]) -> tuple[int, ...]:
        return self._journal.append(records)

    def read(self, start: int, limit: int) -> tuple[StoredRecord, ...]:
        return self._journal.read(start, limit)

    def size(self) -> int:
        return self._journal.size()

    def find_request(self, request_id: str) -> StoredRecord | None:
        return self._journal.find_request(request_id)

    def close(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return


def witness_locally(council: Council, clock: Clock | None = None) -> Publishing:
    """Return a publication at every append, by new witnesses of everybody.

    New witnesses have seen nothing: two coordinators that each have their own have colluding ones.
    """
    return publish_by(make_witnesses(council, clock or ManualClock()))


@contextlib.asynccontextmanager
async def run_coordinator(
    council: Council, journal: Journal, clock: ManualClock, publishing: Publishing | None = None
) -> AsyncIterator[Coordinator]:
    """Within, a coordinator over this journal, which stays open afterwards."""
    async with AsyncJournal(KeptJournal(journal)) as kept:
        coordinator = await Coordinator.start(
            kept,
            treaty_bytes=council.treaty.data,
            log_key=council.log_key,
            publishing=publishing or witness_locally(council, clock),
            clock=clock,
        )
        yield coordinator
        await coordinator.close()


def identify(role: Role, name: str) -> Identity:
    """Return a participant of the tests' trust domain."""
    return Identity(trust_domain=TRUST_DOMAIN, role=role, name=name)


_REQUESTS: Final[Iterator[int]] = itertools.count(1)


def make_request_id() -> str:
    """Return a UUID that no other test used."""
    return str(uuid.UUID(int=next(_REQUESTS)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A device key and what its maker and owner signed about it."""

    key: EcdsaSigningKey
    enrolment: bytes


def enrol_chip(
    council: Council, *, owner: str = "op1", key: EcdsaSigningKey | None = None, serial: str | None = None
) -> Chip:
    """Return a chip with its enrolment."""
    device_key = key or generate_ecdsa(council.rng)
    named = serial or f"Test Chip-{device_key.public_key.key_id.hex()[:12]}"
    certificate = issue_device_certificate(
        device_key.public_key,
        council.endorser_root,
        endorser_id="maker",
        serial=named,
        not_before_ms=NOW_MS - MS_PER_HOUR,
        not_after_ms=NOW_MS + 1_000 * MS_PER_HOUR,
    )
    enrolment = DeviceEnrolment(
        certificate=certificate,
        endorser_id="maker",
        model="Test Chip",
        peaks=(PeakRate(precision=Precision.BF16, flop_per_s=10**15),),
        memory_bytes=80 * 2**30,
        tdp_w=700,
        owner=owner,
        site="Hall One",
        attester_kind=SIMULATED,
        serial=named,
    )
    signers = (council.endorser_root, council.operator_keys[owner])
    return Chip(key=device_key, enrolment=sign_jointly(enrolment, signers))


def endorse_alias(council: Council, chip: Chip, boot_count: int = 1) -> bytes:
    """Return what a chip signs about the key of its next boot."""
    alias = AliasEndorsement(
        ueid=chip.key.public_key.ueid,
        alias=generate_ed25519(council.rng).public_key,
        boot_count=boot_count,
        firmware=FIRMWARE,
    )
    return sign(alias, chip.key)


_HOURS: Final[Iterator[int]] = itertools.count()


def sign_batch(council: Council, *, operator_id: str = "op1", key: SigningKey | None = None) -> bytes:
    """Return an operator's report batch, for an hour that no other test used."""
    start = NOW_MS + next(_HOURS) * MS_PER_HOUR
    batch = ReportBatch(
        operator_id=operator_id,
        licence_id=None,
        window_start_ms=start,
        window_end_ms=start + MS_PER_HOUR,
        report_count=1,
        root_hash=hashlib.sha256(council.rng(32)).digest(),  # no raw draw: elsewhere that is a seed
    )
    return sign(batch, key or council.operator_keys[operator_id])


@dataclass(slots=True, kw_only=True)
class Site:
    """A served coordinator and everybody's certificates; channels are closed at the end."""

    council: Council
    server: CoordinatorServer
    clock: ManualClock
    authority: Authority
    channels: list[grpc.aio.Channel] = field(default_factory=list)
    credentials: dict[tuple[Role, str], Credential] = field(default_factory=dict)

    def issue(self, role: Role, name: str) -> Credential:
        """Return the participant's certificate."""
        key = (role, name)
        if key not in self.credentials:
            self.credentials[key] = self.authority.issue(role, name, now=read_real_time())
        return self.credentials[key]

    def connect(self, role: Role, name: str, *, credential: Credential | None = None) -> grpc.aio.Channel:
        """Return a channel to the server as this participant, or with somebody else's certificate."""
        channel = open_channel(
            self.server.address,
            credential=credential or self.issue(role, name),
            server=identify(Role.COORDINATOR, "main"),
        )
        self.channels.append(channel)
        return channel

    def party(self, party_id: str) -> Any:
        """Return a party's stub of the coordinator."""
        return CoordinatorServiceStub(self.connect(Role.PARTY, party_id))

    def operator(self, operator_id: str = "op1") -> Any:
        """Return an operator's stub of the coordinator."""
        return CoordinatorServiceStub(self.connect(Role.OPERATOR, operator_id))

    def log(self, operator_id: str = "op1") -> Any:
        """Return an operator's stub of the log."""
        return LogServiceStub(self.connect(Role.OPERATOR, operator_id))


_AUTHORITY: Final[list[Authority]] = []


def make_authority() -> Authority:
    """Return the tests' certificate authority, one for the whole run."""
    if not _AUTHORITY:
        _AUTHORITY.append(generate_authority(TRUST_DOMAIN, now=read_real_time()))
    return _AUTHORITY[0]


@contextlib.asynccontextmanager
async def serve_site(
    council: Council,
    directory: Path,
    *,
    max_bytes: int | None = None,
    publishing: Publishing | None = None,
    **settings: Any,
) -> AsyncIterator[Site]:
    """Within, a coordinator over SQLite and mutual TLS on a free port; its clock is the test's."""
    authority, clock = make_authority(), ManualClock()
    coordinator = authority.issue(Role.COORDINATOR, "main", now=read_real_time())
    chosen: dict[str, Any] = {
        "address": "127.0.0.1:0",
        "credential": coordinator,
        "tick_s": None,
        "heartbeat_s": 0.2,
        "grace_s": 0.2,
    }
    async with serve_coordinator(
        directory,
        treaty_bytes=council.treaty.data,
        log_key=council.log_key,
        publishing=publishing or witness_locally(council, clock),
        settings=ServerSettings(**(chosen | settings)),
        clock=clock,
        max_bytes=max_bytes,
    ) as server:
        site = Site(council=council, server=server, clock=clock, authority=authority)
        try:
            yield site
        finally:
            for channel in site.channels:
                await channel.close()


def read_real_time() -> int:
    """Return the system's time: TLS libraries have no other."""
    return time.time_ns() // 1_000_000


def name_of(proposal: Signed[Proposal]) -> bytes:
    """Return the 16 bytes that name a proposal."""
    return proposal.payload_digest[:16]
