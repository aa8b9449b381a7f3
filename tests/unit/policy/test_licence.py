"""Licences: they follow from the log, are signed by the quorum, and by nothing less (VN-7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import pytest

from support.world import Council, make_council
from vetonet.crypto import frost
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, attach_signatures, compute_signing_input, sign, sign_jointly
from vetonet.encoding import cbor
from vetonet.errors import (
    EncodingError,
    EpochError,
    InvalidSignatureError,
    ProtocolError,
    RefusedError,
    UnknownPartyError,
)
from vetonet.policy.licence import Licence, derive_licence, open_licence
from vetonet.policy.proposal import Proposal

COUNCIL = make_council(5, 3)
TREATY = COUNCIL.treaty
PROPOSAL = COUNCIL.sign_proposal()
LICENCE = derive_licence(TREATY, PROPOSAL, 4, (9, 6, 7))


def sign_with(council: Council, names: tuple[str, ...], proposal: Signed[Proposal]) -> Signed[Licence]:
    return council.sign_licence(proposal, {name: council.sign_ballot(name, proposal) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Some parties' nonces and commitments of one attempt."""

    nonces: Mapping[str, frost.SigningNonces]
    commitments: tuple[frost.SigningCommitments, ...]

    @classmethod
    def open(cls, names: tuple[str, ...]) -> Session:
        pairs = {name: frost.commit(find_share(name), COUNCIL.rng) for name in names}
        return cls(
            nonces={name: nonces for name, (nonces, _) in pairs.items()},
            commitments=tuple(commitments for _, commitments in pairs.values()),
        )

    def make_package(self, licence: Licence) -> frost.SigningPackage:
        message = compute_signing_input(licence, COUNCIL.group.key)
        return frost.SigningPackage(message=message, commitments=self.commitments)

    def sign(self, name: str, licence: Licence) -> frost.SignatureShare:
        return frost.sign(self.make_package(licence), self.nonces[name], find_share(name))


def find_share(name: str) -> frost.KeyShare:
    (held,) = COUNCIL.key_shares[name]
    return held.share


def test_every_field_follows_from_the_log() -> None:
    # VN-7.1
    asked = PROPOSAL.statement
    assert (LICENCE.issued_ms, LICENCE.not_before_ms, LICENCE.expires_ms) == (
        asked.closes_ms,
        asked.starts_ms,
        asked.ends_ms,
    )
    assert (LICENCE.licence_id, LICENCE.proposal_leaf_index, LICENCE.ballot_leaf_indices) == (9, 4, (6, 7, 9))
    assert (LICENCE.treaty_digest, LICENCE.epoch) == (TREATY.payload_digest, 1)
    assert LICENCE.proposal_digest == PROPOSAL.payload_digest
    for name in ("device_set_root", "device_count", "total_flop", "per_device_flop", "workload", "precision"):
        assert getattr(LICENCE, name) == getattr(asked, name)
    assert (LICENCE.lease_flop, LICENCE.lease_ms) == (asked.lease_flop, TREATY.statement.lease_ms)
    assert derive_licence(TREATY, PROPOSAL, 4, [7, 9, 6]) == LICENCE
    assert Licence.from_bytes(LICENCE.to_bytes()) == LICENCE


def test_times_are_whole_seconds_on_the_wire() -> None:
    # RFC 8392: claims 4 (exp), 5 (nbf), 6 (iat) are NumericDates.
    item = LICENCE.to_item()
    assert [item[label] * 1000 for label in (4, 5, 6)] == [
        LICENCE.expires_ms,
        LICENCE.not_before_ms,
        LICENCE.issued_ms,
    ]


@pytest.mark.parametrize("names", list(combinations(COUNCIL.party_ids, 3)))
def test_any_quorum_signs_and_the_result_is_an_ordinary_ed25519_signature(names: tuple[str, ...]) -> None:
    signed = sign_with(COUNCIL, names, COUNCIL.sign_proposal())
    assert signed.signer == COUNCIL.group.key
    assert open_licence(signed.data, TREATY) == signed


def test_more_than_a_quorum_signs_too() -> None:
    assert sign_with(COUNCIL, COUNCIL.party_ids, PROPOSAL).statement.licence_id == 6


@pytest.mark.parametrize("names", list(combinations(COUNCIL.party_ids, 2)))
def test_fewer_than_a_quorum_cannot_sign(names: tuple[str, ...]) -> None:
    # S1
    session = Session.open(names)
    with pytest.raises(ProtocolError, match="fewer signers"):
        session.sign(names[0], LICENCE)


def test_nonces_sign_once() -> None:
    # VN-7.2
    session = Session.open(("p1", "p3", "p5"))
    session.sign("p1", LICENCE)
    for licence in (LICENCE, replace(LICENCE, total_flop=LICENCE.total_flop - 1)):
        with pytest.raises(RefusedError, match="used before"):
            session.sign("p1", licence)


def test_nonces_of_one_attempt_do_not_sign_under_the_commitments_of_another() -> None:
    # VN-7.2
    names = ("p1", "p2", "p3")
    first, second = Session.open(names), Session.open(names)
    with pytest.raises(ProtocolError, match="own commitments"):
        replace(first, commitments=second.commitments).sign("p1", LICENCE)


def test_a_share_over_another_licence_names_its_author() -> None:
    # VN-7.4
    session = Session.open(("p1", "p2", "p4"))
    wider = replace(LICENCE, total_flop=LICENCE.total_flop - 1)
    shares = [session.sign("p1", LICENCE), session.sign("p2", wider), session.sign("p4", LICENCE)]
    with pytest.raises(InvalidSignatureError) as caught:
        frost.aggregate(session.make_package(LICENCE), shares, COUNCIL.group.package)
    assert caught.value.culprits == ("2",)


@pytest.mark.parametrize(
    "signer",
    [COUNCIL.party_keys["p1"], COUNCIL.operator_keys["op1"], COUNCIL.log_key, COUNCIL.endorser_root],
)
def test_a_licence_by_anyone_but_the_quorum_is_refused(signer: Any) -> None:
    # VN-7.8
    with pytest.raises(UnknownPartyError):
        open_licence(sign_jointly(LICENCE, (signer,)), TREATY)
    with pytest.raises(EncodingError):
        open_licence(sign(LICENCE, signer), TREATY)


def test_a_licence_by_another_councils_quorum_is_refused() -> None:
    other = make_council(5, 3, rng=SeededRng(b"other"))
    foreign = sign_with(other, ("p1", "p2", "p3"), other.sign_proposal())
    with pytest.raises(UnknownPartyError):
        open_licence(foreign.data, TREATY)


def test_a_signature_moved_to_another_licence_is_refused() -> None:
    signed = sign_with(COUNCIL, ("p1", "p2", "p3"), PROPOSAL)
    larger = replace(signed.statement, per_device_flop=signed.statement.per_device_flop + 1)
    with pytest.raises(InvalidSignatureError):
        attach_signatures(larger, {COUNCIL.group.key: signed.data[-64:]})


@pytest.mark.parametrize("changes", [{"treaty_digest": bytes(32)}, {"epoch": 0}, {"epoch": 2}])
def test_a_licence_under_another_treaty_or_epoch_is_refused(changes: dict[str, Any]) -> None:
    # VN-2.4: well signed by the quorum, and still of another epoch.
    ballots = {name: COUNCIL.sign_ballot(name, PROPOSAL) for name in ("p1", "p2", "p3")}
    with pytest.raises(EpochError):
        COUNCIL.sign_licence(PROPOSAL, ballots, **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param(
            {"issued_ms": LICENCE.not_before_ms + 1000}, "issued <= not before", id="issued too late"
        ),
        pytest.param({"not_before_ms": LICENCE.expires_ms}, "not before < expires", id="never in force"),
        pytest.param({"expires_ms": LICENCE.expires_ms + 1}, "whole seconds", id="within a second"),
        pytest.param({"licence_id": 7}, "last ballot", id="id of an earlier ballot"),
        pytest.param({"licence_id": 10}, "last ballot", id="id of no ballot"),
        pytest.param({"proposal_leaf_index": 6}, "before the ballots", id="proposal at a ballot"),
        pytest.param({"proposal_leaf_index": 8}, "before the ballots", id="proposal after a ballot"),
        pytest.param({"ballot_leaf_indices": (9, 6, 7)}, "rise", id="ballots out of order"),
        pytest.param({"ballot_leaf_indices": (6, 6, 9)}, "rise", id="ballot twice"),
        pytest.param({"ballot_leaf_indices": ()}, "rise", id="no ballots"),
        pytest.param({"total_flop": 5 * 10**24}, "ceiling", id="total above all chips"),
        pytest.param({"per_device_flop": 0}, "ceiling", id="no FLOP"),
        pytest.param({"device_count": 0}, "ceiling", id="no chips"),
        pytest.param({"lease_flop": 0}, "FLOP of a lease", id="leases for nothing"),
        pytest.param(
            {"lease_flop": LICENCE.per_device_flop + 1}, "FLOP of a lease", id="leases above the whole run"
        ),
        pytest.param({"lease_ms": 0}, "leases that last", id="leases that do not last"),
    ],
)
def test_a_licence_that_could_not_be_derived_is_refused(changes: dict[str, Any], reason: str) -> None:
    # VN-7.1
    with pytest.raises(ValueError, match=reason):
        replace(LICENCE, **changes)


@pytest.mark.parametrize("indices", [(), (4,), (3, 5), (5, 5)])
def test_a_licence_is_not_derived_from_ballots_that_cannot_be(indices: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"."):
        derive_licence(TREATY, PROPOSAL, 4, indices)


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (4, 2**40 + 1),
        (4, 1.5),
        (5, -1),
        (-70101, 2**53 + 1),
        (-70102, bytes(31)),
        (-70106, []),
        (-70106, list(range(10, 139))),
        (-70106, [9, 7, 6]),
        (-70111, "mining"),
        (-70113, 0),
        (-70114, 0),
        (-70115, 0),
        (1, "issuer"),
        (7, b"cti"),
    ],
)
def test_a_malformed_licence_is_refused(label: int, value: object) -> None:
    item = LICENCE.to_item() | {label: value}
    with pytest.raises(EncodingError):
        Licence.from_item(item)
    if type(value) is not float:
        with pytest.raises(EncodingError):
            Licence.from_bytes(cbor.to_bytes(item))


@pytest.mark.parametrize("label", list(LICENCE.to_item()))
def test_a_licence_without_a_field_is_refused(label: int) -> None:
    item = LICENCE.to_item()
    del item[label]
    with pytest.raises(EncodingError, match="missing field"):
        Licence.from_bytes(cbor.to_bytes(item))
