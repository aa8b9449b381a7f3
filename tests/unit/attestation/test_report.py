"""Reports and batches: what is well formed, who signed, and what a batch commits to (VN-9)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from support.fleet import make_fleet
from support.hiding import hide
from vetonet.attestation.report import (
    CONFIDENTIAL_PROFILE,
    CONFIDENTIAL_TRAFFIC_STEP_BYTES,
    EAT_PROFILE,
    ENERGY_STEP_J,
    NO_DIGEST,
    PROFILES,
    ComputeReport,
    ReportBatch,
    compute_batch,
    compute_batch_order,
    compute_batch_root,
    compute_report_digest,
    open_report,
    open_reports,
)
from vetonet.crypto import cose
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.merkle import compute_leaf_hash, compute_root
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, sign
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, InvalidSignatureError, RefusedError, UnknownPartyError

FLEET = make_fleet()
ALIASES = FLEET.registry.aliases
_, REPORTS = FLEET.run(FLEET.chips[0])
_, OTHER_REPORTS = FLEET.run(FLEET.chips[1])
LICENSED = [*REPORTS[1:], *OTHER_REPORTS[1:]]
LICENCE_ID = FLEET.licence.statement.licence_id
FIRST, SECOND = REPORTS[0].statement, REPORTS[1].statement
MALLORY = generate_ed25519(SeededRng(b"mallory"))


def batch_of(reports: list[Signed[ComputeReport]], **changes: Any) -> ReportBatch:
    made = compute_batch(reports, operator_id="op1", licence_id=LICENCE_ID)
    return replace(made, **changes)


def test_a_report_has_the_registered_eat_labels() -> None:
    # RFC 9711: eat_nonce 10, ueid 256, hwmodel 259, dbgstat 263, eat_profile 265, bootcount 267
    item = SECOND.to_item()
    assert [len(nonce) for nonce in item[10]] == [32, 32]
    assert item[256][0] == 1
    assert len(item[256]) == 33
    assert item[259] == b"NVIDIA H100 SXM5 80GB"
    assert (item[263], item[265], item[267]) == (3, EAT_PROFILE, 1)
    assert {label for label in item if label < 0} == set(range(-70017, -70000))


def test_the_first_report_has_no_predecessor_and_the_next_names_it() -> None:
    assert (FIRST.counter, FIRST.previous_digest, FIRST.licence_id) == (1, NO_DIGEST, None)
    assert SECOND.previous_digest == compute_report_digest(REPORTS[0].data)


def test_a_report_stays_under_700_bytes() -> None:
    assert max(len(report.data) for report in LICENSED) < 700


@pytest.mark.parametrize(
    "change",
    [
        {"profile": "tag:vetonet.example,2026:compute-report#1"},
        {"window_end_ms": SECOND.window_start_ms},
        {"counter": 0},
        {"previous_digest": NO_DIGEST},
        {"counter": 1},
        {"licence_id": None},
        {"proposal_digest": None},
        {"energy_j": 1},
    ],
)
def test_a_malformed_report_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(SECOND, **change)


HIDDEN = hide(SECOND, flop_commitment=bytes(33))
OPEN_CLAIMS: dict[str, Any] = dict.fromkeys(PROFILES[EAT_PROFILE], 0)
HIDDEN_CLAIMS: dict[str, Any] = {"flop_commitment": bytes(33), "activity": 0}


def test_a_confidential_report_is_read_as_it_was_written() -> None:
    assert ComputeReport.from_bytes(HIDDEN.to_bytes()) == HIDDEN
    assert ComputeReport.from_item(HIDDEN.to_item()) == HIDDEN


@pytest.mark.parametrize(
    "change",
    [
        *({name: value} for name, value in OPEN_CLAIMS.items()),
        OPEN_CLAIMS,
        *({name: None} for name in HIDDEN_CLAIMS),
        dict.fromkeys(HIDDEN_CLAIMS),
        OPEN_CLAIMS | dict.fromkeys(HIDDEN_CLAIMS),
        {"profile": EAT_PROFILE},
        {"profile": EAT_PROFILE} | OPEN_CLAIMS,
        {"energy_j": ENERGY_STEP_J},
        {"out_of_set_bytes": 1},
        {"out_of_set_bytes": CONFIDENTIAL_TRAFFIC_STEP_BYTES - 1},
    ],
)
def test_a_confidential_report_with_a_claim_of_an_open_one_or_without_its_own_is_refused(
    change: dict[str, Any],
) -> None:
    """VN-9.1."""
    with pytest.raises(ValueError, match="expected"):
        replace(HIDDEN, **change)


@pytest.mark.parametrize(
    "change",
    [
        *({name: value} for name, value in HIDDEN_CLAIMS.items()),
        HIDDEN_CLAIMS,
        *({name: None} for name in OPEN_CLAIMS),
        dict.fromkeys(OPEN_CLAIMS),
        {"profile": CONFIDENTIAL_PROFILE},
        {"profile": CONFIDENTIAL_PROFILE} | HIDDEN_CLAIMS,
        {"profile": CONFIDENTIAL_PROFILE} | dict.fromkeys(OPEN_CLAIMS),
    ],
)
def test_an_open_report_with_a_claim_of_a_confidential_one_or_without_its_own_is_refused(
    change: dict[str, Any],
) -> None:
    """VN-9.1."""
    with pytest.raises(ValueError, match="expected"):
        replace(SECOND, **change)


@pytest.mark.parametrize(
    ("label", "value"),
    [(-70020, bytes(32)), (-70020, bytes(34)), (-70020, 1), (-70021, 2), (-70021, -1), (-70021, True)],
)
def test_a_claim_of_a_confidential_report_out_of_range_is_refused(label: int, value: object) -> None:
    with pytest.raises(EncodingError):
        ComputeReport.from_item(HIDDEN.to_item() | {label: value})


def test_whoever_asks_a_report_for_what_its_profile_has_not_misuses_it() -> None:
    """VN-9.1: a hidden counter is never taken for zero."""
    assert HIDDEN.commitment == bytes(33)
    assert not HIDDEN.is_idle
    with pytest.raises(ValueError, match="no open counters"):
        _ = HIDDEN.counters
    for name in ("commitment", "is_idle"):
        with pytest.raises(ValueError, match="open report"):
            getattr(SECOND, name)
    assert (HIDDEN.is_confidential, SECOND.is_confidential) == (True, False)


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (10, [bytes(32)]),
        (10, [bytes(32)] * 3),
        (10, [bytes(31), bytes(32)]),
        (10, bytes(32)),
        (256, bytes(32)),
        (259, b""),
        (259, bytes(33)),
        (263, 5),
        (-70001, 0),
        (-70002, bytes(31)),
        (-70007, "mining"),
        (-70009, -1),
        (-70009, 2**127 + 1),
        (-70013, [bytes(32)] * 9),
        (-70013, [bytes(31)]),
        (-70014, 2**64),
        (-70016, -1),
        (-70018, bytes(33)),
        (-70019, bytes(513)),
    ],
)
def test_a_claim_out_of_range_is_refused(label: int, value: object) -> None:
    with pytest.raises(EncodingError):
        ComputeReport.from_item(SECOND.to_item() | {label: value})


def test_a_missing_and_an_unknown_claim_are_refused() -> None:
    item = SECOND.to_item()
    counters = {-70009, -70014, -70015, -70016}  # of the profile
    for label in set(item) - {-70005, -70006}:
        with pytest.raises(EncodingError, match="counters" if label in counters else "missing field"):
            ComputeReport.from_item({key: value for key, value in item.items() if key != label})
    with pytest.raises(EncodingError, match="unknown field"):
        ComputeReport.from_item(item | {6: 1})


def test_a_report_by_an_unknown_key_is_refused() -> None:
    with pytest.raises(UnknownPartyError):
        open_report(sign(SECOND, MALLORY), ALIASES)


def test_a_forged_report_is_refused() -> None:
    # Mallory names the chip's alias key but cannot sign for it.
    parts = cose.parse_sign1(REPORTS[1].data)
    forged = cose.build_sign1(replace(SECOND, cumulative_flop=1).to_bytes(), parts.protected, parts.signature)
    with pytest.raises(InvalidSignatureError):
        open_report(forged, ALIASES)


def test_every_changed_byte_of_a_report_is_refused() -> None:
    data = REPORTS[1].data
    for offset in range(len(data)):
        changed = data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]
        with pytest.raises((EncodingError, InvalidSignatureError, UnknownPartyError)):
            open_report(changed, ALIASES)


def test_an_oversize_report_is_refused_unread() -> None:
    with pytest.raises(EncodingError):
        open_report(cose.TAG_SIGN1 + bytes(ComputeReport.MAX_BYTES), ALIASES)


def test_another_statement_of_a_known_key_is_no_report() -> None:
    with pytest.raises(EncodingError):
        open_report(FLEET.aliases[0], {**ALIASES})


def test_reports_open_in_their_order_whatever_spreads_the_work() -> None:
    data = [report.data for report in LICENSED] * 200
    serial = open_reports(data, ALIASES)
    with ThreadPoolExecutor(2) as pool:
        assert open_reports(iter(data), ALIASES, mapper=pool.map) == serial
    assert [report.data for report in serial] == data


def test_one_bad_report_among_many_is_refused() -> None:
    data = [report.data for report in LICENSED] * 200
    bad = [*data, sign(SECOND, MALLORY)]
    with ThreadPoolExecutor(2) as pool, pytest.raises(UnknownPartyError):
        open_reports(bad, ALIASES, mapper=pool.map)


def test_no_reports_are_no_reports() -> None:
    assert open_reports([], ALIASES) == []


def test_a_batch_commits_to_the_sorted_reports() -> None:
    # VN-9.4
    batch = batch_of(LICENSED)
    assert batch_of(LICENSED[::-1]) == batch
    keys = [(report.statement.ueid, report.statement.counter) for report in compute_batch_order(LICENSED)]
    assert keys == sorted(keys)
    ordered = sorted(LICENSED, key=lambda report: (report.statement.ueid, report.statement.counter))
    assert batch.root_hash == compute_root(compute_leaf_hash(report.data) for report in ordered)
    assert batch.root_hash == compute_batch_root(LICENSED)
    assert (batch.report_count, batch.window_start_ms) == (6, SECOND.window_start_ms)


def test_a_batch_survives_the_wire() -> None:
    batch = batch_of(LICENSED)
    assert ReportBatch.from_bytes(batch.to_bytes()) == batch


@pytest.mark.parametrize(
    "reports",
    [
        pytest.param([*LICENSED[:-1], REPORTS[0]], id="one of another licence"),
        pytest.param([*LICENSED, LICENSED[0]], id="one twice"),
        pytest.param([], id="none"),
    ],
)
def test_a_batch_that_could_not_be_read_is_not_made(reports: list[Signed[ComputeReport]]) -> None:
    with pytest.raises(RefusedError):
        compute_batch(reports, operator_id="op1", licence_id=LICENSED[0].statement.licence_id)


@pytest.mark.parametrize("change", [{"report_count": 0}, {"window_end_ms": SECOND.window_start_ms}])
def test_a_batch_of_nothing_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        batch_of(LICENSED, **change)


def test_a_batch_of_mixed_licences_is_never_made() -> None:
    with pytest.raises(RefusedError):
        compute_batch(REPORTS, operator_id="op1", licence_id=LICENCE_ID)


def test_a_payload_in_another_spelling_is_refused() -> None:
    item = SECOND.to_item()
    reordered = cbor.cbor2.dumps(dict(reversed(item.items())))  # type: ignore[attr-defined]
    with pytest.raises(EncodingError):
        ComputeReport.from_bytes(reordered)
