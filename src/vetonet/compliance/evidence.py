"""Steps 5 and 6: open the reports chip by chip, and work out what each adds to its chip's meter (VN-10.5).

A report names the bytes of the one before it. So where a signature was verified, the chip vouched for all
that it links back to, and only what nothing links to is verified by itself (ADR 0032).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

from vetonet.attestation.enrolment import EnrolledDevice
from vetonet.attestation.report import ComputeReport
from vetonet.compliance.bundle import Place
from vetonet.compliance.public_record import PublicRecord
from vetonet.crypto.statement import Claimed, Keys, Signed
from vetonet.errors import ComplianceError, EncodingError, InvalidSignatureError, Problem, UnknownPartyError
from vetonet.policy.lease import find_number_at
from vetonet.policy.licence import Licence
from vetonet.units import Flop

MAX_CHIP_REPORTS: Final = 2**17
"""How many reports of one chip are held at once: fifteen years of hours."""

WAVE_REPORTS: Final = 1024
"""How many reports, of whole chips, are read before they are opened, so that several threads have work."""

Mapper: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""``map``, or the ``map`` of a pool of threads: libsodium lets them verify at the same time."""

Claim: TypeAlias = Claimed[ComputeReport]
Opened: TypeAlias = Signed[ComputeReport] | Problem


class Usage(NamedTuple):
    """One genuine report and the work it accounts for; a tuple, because there are very many.

    Attributes:
        report: as signed.
        claims: what it says.
        device: the chip.
        flop: what its interval added to the meter, or None where a report does not say: the one before it is
            missing, or the counters stayed in the chip.
        batch_leaf: the leaf of the batch that may commit to it, or None.
        licence: the licence of the log that it names, or None.
        lease_number: the lease of that in which its interval begins, or None outside of the licence's time.
    """

    report: Signed[ComputeReport]
    claims: ComputeReport
    device: EnrolledDevice
    flop: int | None
    batch_leaf: int | None
    licence: Licence | None
    lease_number: int | None

    @property
    def has_worked(self) -> bool:
        """Whether it is known that the chip computed anything in the interval."""
        return not self.claims.is_idle if self.claims.is_confidential else bool(self.flop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The genuine reports of one chip that name it, in counter order; at least one."""

    device: EnrolledDevice
    usages: tuple[Usage, ...] = field(repr=False)


def about(usage: Usage, reason: str, what: str) -> Problem:
    """Return a problem with one report, whose chip's owner has to answer for it."""
    claims = usage.claims
    detail = f"report {claims.counter} of chip {claims.ueid.hex()[:16]} {what}"
    return Problem(reason=reason, detail=detail, culprit=usage.device.enrolment.owner)


def iter_groups(reports: Iterable[bytes], note: Callable[[Problem], None]) -> Iterator[tuple[Claim, ...]]:
    """Yield the reports of each chip that they name, in counter order, nothing in them verified yet.

    Args:
        reports: untrusted bytes of one report each, in the order of a bundle.
        note: takes the problem with bytes that are no report.

    Raises:
        EncodingError: reports out of order, or too many of one chip.
        ComplianceError: one stands twice.
    """
    group: list[Claim] = []
    last = (b"", 0, b"")
    for data in reports:
        claim = _read_or_note(data, note)
        place = (b"", 0, data) if claim is None else (claim.statement.ueid, claim.statement.counter, data)
        if place <= last:
            _refuse_place(place, last)
        if claim is not None and group and place[0] != last[0]:
            yield tuple(group)
            group = []
        if claim is not None:
            group.append(claim)
        if len(group) > MAX_CHIP_REPORTS:
            raise EncodingError(f"more than {MAX_CHIP_REPORTS} reports of one chip")
        last = place
    if group:
        yield tuple(group)


def _refuse_place(place: Place, last: Place) -> NoReturn:
    """Refuse reports out of order; one that stands twice has a reason of its own: nothing counts twice."""
    if place == last:
        detail = f"report {place[1]} of chip {place[0].hex()[:16]} stands twice in the bundle"
        raise ComplianceError(detail, problems=(Problem(reason="report-repeated", detail=detail),))
    raise EncodingError("expected the reports by rising chip, counter and bytes, each once")


def _read_or_note(data: bytes, note: Callable[[Problem], None]) -> Claim | None:
    try:
        return Claimed.from_bytes(data, ComputeReport)
    except EncodingError as error:
        note(Problem(reason="report-malformed", detail=str(error)))
        return None


def open_groups(
    groups: Iterable[tuple[Claim, ...]], keys: Keys, mapper: Mapper
) -> Iterator[Sequence[Opened]]:
    """Yield each group of reports as ``authenticate`` opens it, a few groups at a time."""

    def open_group(group: tuple[Claim, ...]) -> Sequence[Opened]:
        return authenticate(group, keys)

    wave: list[tuple[Claim, ...]] = []
    for group in groups:
        wave.append(group)
        if sum(map(len, wave)) >= WAVE_REPORTS:
            yield from mapper(open_group, wave)
            wave = []
    yield from mapper(open_group, wave)


def authenticate(group: Sequence[Claim], keys: Keys) -> Sequence[Opened]:
    """Step 5: a report is authentic by its signature, or by an authentic one of its key that names its bytes.

    Args:
        group: the reports that name one chip, in counter order.
        keys: the alias keys of all chips, by key id.

    Returns:
        Each report as signed, or what is wrong with it, in the order given.
    """
    opened: list[Opened] = []
    vouched: set[tuple[bytes, bytes]] = set()
    for claim in reversed(group):
        result = _open(claim, keys, vouched)
        if isinstance(result, Signed):
            vouched.add((claim.key_id, claim.statement.previous_digest))
        opened.append(result)
    opened.reverse()
    return opened


def _open(claim: Claim, keys: Keys, vouched: set[tuple[bytes, bytes]]) -> Opened:
    try:
        key = claim.find_signer(keys)
        if (claim.key_id, sha256(claim.data).digest()) in vouched:
            return claim.vouch(key)
        return claim.verify(key)
    except UnknownPartyError as error:
        return Problem(reason="signer-unknown", detail=str(error))
    except InvalidSignatureError as error:
        claims = claim.statement
        detail = f"report {claims.counter} in the name of chip {claims.ueid.hex()[:16]}: {error}"
        return Problem(reason="report-forged", detail=detail)


def measure(
    reports: Iterable[Signed[ComputeReport]],
    record: PublicRecord,
    find_batch: Callable[[Signed[ComputeReport], EnrolledDevice], int | None],
) -> tuple[Chain | None, tuple[Problem, ...]]:
    """Step 6: what each report adds to its chip's meter is the difference from the report just before it.

    Args:
        reports: genuine ones that name one chip, in counter order.
        record: which key speaks for which chip, and which licences there are.
        find_batch: which batch of the log may commit to a report.

    Returns:
        The reports by that chip's own keys, if there are any, and what is wrong with the others.
    """
    usages: list[Usage] = []
    strays: list[Problem] = []
    last_counter = 0
    last_flop: Flop | None = 0
    for report in reports:
        claims, device = report.statement, record.registry.find_alias(report.signer.key_id).device
        batch_leaf = find_batch(report, device)
        if device.ueid != claims.ueid:
            detail = f"report {claims.counter} names chip {claims.ueid.hex()[:16]}, another's key signed it"
            strays.append(Problem(reason="wrong-device", detail=detail, culprit=device.enrolment.owner))
            continue
        flop = _subtract(claims.cumulative_flop, last_flop) if claims.counter == last_counter + 1 else None
        licence = None if claims.licence_id is None else record.licences.get(claims.licence_id)
        number = None if licence is None else find_number_at(licence, claims.window_start_ms)
        usages.append(Usage(report, claims, device, flop, batch_leaf, licence, number))
        last_counter, last_flop = claims.counter, claims.cumulative_flop
    chain = Chain(device=usages[0].device, usages=tuple(usages)) if usages else None
    return chain, tuple(strays)


def _subtract(counted: Flop | None, before: Flop | None) -> Flop | None:
    """Return what came to a counter, or None where it fell, or a confidential report does not say."""
    if counted is None or before is None or counted < before:
        return None
    return counted - before
