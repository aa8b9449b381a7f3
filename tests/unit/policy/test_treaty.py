"""Treaties: what all parties signed, and every treaty that nobody should be able to sign (VN-3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from support.world import deal_group, make_council
from vetonet.attester.manufacture import SIMULATED
from vetonet.crypto import frost
from vetonet.crypto.frost.group import multiply_base
from vetonet.crypto.keys import PublicKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign, sign_jointly
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, InvalidSignatureError, UnknownPartyError, VetonetError
from vetonet.policy.band import Band, BandRule
from vetonet.policy.quorum import Threshold
from vetonet.policy.treaty import Endorser, Operator, Party, Treaty, open_treaty

COUNCIL = make_council(4, 3, ("p1", "p2"))
TREATY = COUNCIL.treaty.statement
RNG = SeededRng(b"treaty")
FRESH = generate_ed25519(RNG).public_key


def party(name: str, key: PublicKey = FRESH) -> Party:
    return Party(party_id=name, key=key)


def operator(name: str, key: PublicKey = FRESH, party_id: str | None = None) -> Operator:
    return Operator(operator_id=name, key=key, party_id=party_id)


def endorser(name: str, key: PublicKey = FRESH) -> Endorser:
    return Endorser(endorser_id=name, root_key=key, attester_kind=SIMULATED)


def electorate(*names: str, k: int = 3) -> Threshold:
    return Threshold(min_grants=k, electorate=names, veto_holders=(), minority=False)


def regroup(*numbers: int) -> frost.PublicKeyPackage:
    return replace(TREATY.group, identifiers=tuple(map(frost.Identifier, numbers)))


def test_a_treaty_that_all_parties_signed_opens() -> None:
    signed = open_treaty(COUNCIL.treaty.data)
    assert signed == COUNCIL.treaty
    assert {key.key_id for key in signed.signers} == set(TREATY.party_keys)
    assert Treaty.from_bytes(TREATY.to_bytes()) == TREATY


@pytest.mark.parametrize("absent", range(4))
def test_a_treaty_without_one_partys_signature_is_refused(absent: int) -> None:
    # VN-3.1
    keys = list(COUNCIL.party_keys.values())
    missing = keys.pop(absent).public_key.key_id.hex()
    with pytest.raises(InvalidSignatureError) as caught:
        open_treaty(sign_jointly(TREATY, keys))
    assert caught.value.culprits == (missing,)


def test_a_treaty_that_an_outsider_also_signed_is_refused() -> None:
    # VN-3.1
    keys = (*COUNCIL.party_keys.values(), COUNCIL.log_key)
    with pytest.raises(InvalidSignatureError):
        open_treaty(sign_jointly(TREATY, keys))


def test_a_treaty_with_one_signature_only_is_refused() -> None:
    with pytest.raises(VetonetError):
        open_treaty(sign(TREATY, COUNCIL.party_keys["p1"]))


def test_every_changed_byte_of_a_small_treaty_is_refused() -> None:
    data = make_council(1, 1).treaty.data
    for offset in range(len(data)):
        changed = bytearray(data)
        changed[offset] ^= 1
        with pytest.raises(VetonetError):
            open_treaty(bytes(changed))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"parties": (*TREATY.parties[:3], party("p1"))}, "name stands twice", id="party twice"),
        pytest.param({"operators": (operator("p1"),)}, "name stands twice", id="operator named as a party"),
        pytest.param(
            {"operators": (operator("o"), operator("o", COUNCIL.operator_keys["op1"].public_key))},
            "name stands twice",
            id="operator twice",
        ),
        pytest.param(
            {"endorsers": (endorser("op1"),)}, "name stands twice", id="endorser named as an operator"
        ),
        pytest.param(
            {"parties": (*TREATY.parties[:3], party("p4", TREATY.parties[0].key))},
            "one key stands under two names",
            id="one key, two parties",
        ),
        pytest.param(
            {"operators": (operator("o", TREATY.parties[0].key),)},
            "one key stands under two names",
            id="one key, party and operator",
        ),
        pytest.param(
            {"endorsers": (endorser("e", TREATY.operators[0].key),)},
            "one key stands under two names",
            id="one key, operator and endorser",
        ),
        pytest.param(
            {"log_key": TREATY.parties[3].key}, "one key stands under two names", id="one key, party and log"
        ),
        pytest.param(
            {"log_key": TREATY.group_key}, "one key stands under two names", id="one key, group and log"
        ),
        pytest.param(
            {"operators": (operator("o", TREATY.group_key),)},
            "one key stands under two names",
            id="one key, group and operator",
        ),
        pytest.param(
            {"quorum": electorate("p1", "p2", "p3")}, "electorate to be the roster", id="party left out"
        ),
        pytest.param(
            {"quorum": electorate("p1", "p2", "p3", "p4", "p5")},
            "electorate to be the roster",
            id="stranger in the electorate",
        ),
        pytest.param(
            {"quorum": electorate("p2", "p1", "p3", "p4")},
            "electorate to be the roster",
            id="electorate in another order",
        ),
        pytest.param({"parties": ()}, "electorate to be the roster", id="no parties"),
        pytest.param(
            {"quorum": electorate("p1", "p2", "p3", "p4", k=4)}, "FROST group", id="quorum above the group's"
        ),
        pytest.param({"group": deal_group(4, 4, RNG)[0]}, "FROST group", id="group above the quorum"),
        pytest.param({"group": deal_group(4, 2, RNG)[0]}, "FROST group", id="group below the quorum"),
        pytest.param({"group": deal_group(5, 3, RNG)[0]}, "FROST group", id="group with a stranger"),
        pytest.param({"group": deal_group(3, 3, RNG)[0]}, "FROST group", id="group without a party"),
        pytest.param({"group": regroup(2, 3, 4, 5)}, "FROST group", id="group numbered from 2"),
        pytest.param({"group": regroup(1, 2, 3, 9)}, "FROST group", id="group with a gap"),
        pytest.param(
            {"operators": (operator("o", party_id="p9"),)},
            "operator belongs to no party",
            id="operator of a stranger",
        ),
        pytest.param(
            {"operators": (operator("o", party_id="op1"),)},
            "operator belongs to no party",
            id="operator of an operator",
        ),
        pytest.param({"bands": ()}, "expected bands", id="no bands"),
        pytest.param({"bands": TREATY.bands[1:]}, "expected bands", id="bands from above zero"),
        pytest.param(
            {"bands": (Band(name="a", floor_flop=0, rule=BandRule.FORBIDDEN), *TREATY.bands[1:])},
            "expected bands",
            id="bands that loosen",
        ),
        pytest.param({"window_ms": 0}, "above zero", id="no window"),
        pytest.param({"signing_ms": 0}, "above zero", id="no time to sign"),
        pytest.param({"report_interval_ms": 0}, "above zero", id="no interval"),
        pytest.param({"log_key": generate_ecdsa(RNG).public_key}, "Ed25519 log key", id="log key on P-256"),
    ],
)
def test_a_treaty_whose_parts_do_not_fit_is_refused(changes: dict[str, Any], reason: str) -> None:
    # VN-3.2, VN-3.3
    with pytest.raises(ValueError, match=reason):
        replace(TREATY, **changes)


def test_a_treaty_whose_parts_do_not_fit_is_refused_when_parsed() -> None:
    # VN-3.2: as signed by all parties, byte for byte, with one party's key under two names.
    item = TREATY.to_item()
    item[3][3][2] = item[3][0][2]
    with pytest.raises(EncodingError, match="one key stands under two names"):
        Treaty.from_bytes(cbor.to_bytes(item))


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (1, ""),
        (1, "a\nb"),
        (2, -1),
        (2, 2**32 + 1),
        (3, []),
        (3, [{1: "p1"}]),
        (5, b""),
        (5, bytes(100)),
        (7, 2**60),
        (12, [{1: "maker", 2: b"\x30", 3: SIMULATED}]),
        (13, "x" * 129),
        (14, bytes(44)),
        (14, bytes.fromhex("302a300506032b6570032100" + "01" + "00" * 31)),
        (15, None),
        (-1, 0),
    ],
)
def test_a_malformed_treaty_is_refused(label: int, value: object) -> None:
    # VN-2.3: the last key but two is the identity of edwards25519.
    with pytest.raises(EncodingError):
        Treaty.from_bytes(cbor.to_bytes(TREATY.to_item() | {label: value}))


@pytest.mark.parametrize("label", range(1, 15))
def test_a_treaty_without_a_field_is_refused(label: int) -> None:
    item = TREATY.to_item()
    del item[label]
    with pytest.raises(EncodingError, match="missing field"):
        Treaty.from_bytes(cbor.to_bytes(item))


def test_a_group_that_contradicts_itself_is_refused() -> None:
    twice = (frost.Identifier(1), frost.Identifier(1))
    for identifiers in (twice, twice[:0]):
        with pytest.raises(ValueError, match=r"identifiers|group"):
            frost.PublicKeyPackage(vss_commitment=(multiply_base(frost.Scalar(5)),), identifiers=identifiers)


def test_parties_and_operators_are_found_by_key_and_by_name() -> None:
    for index, (name, key) in enumerate(COUNCIL.party_keys.items()):
        assert TREATY.find_party(key.public_key).party_id == name
        assert TREATY.compute_identifier(name) == COUNCIL.key_shares[name].identifier == index + 1
        assert TREATY.find_participant(index + 1).party_id == name
    for name, key in COUNCIL.operator_keys.items():
        assert TREATY.find_operator(name).key == key.public_key
        assert TREATY.find_operator_by_key(key.public_key).operator_id == name
    assert TREATY.find_band(10**24).name == "licensed"


def test_strangers_are_not_found() -> None:
    # VN-2.2: nor is anybody found in another role.
    party_key, operator_key = COUNCIL.party_keys["p1"].public_key, COUNCIL.operator_keys["op1"].public_key
    finders: tuple[Callable[[], object], ...] = (
        lambda: TREATY.find_party(FRESH),
        lambda: TREATY.find_party(operator_key),
        lambda: TREATY.find_operator_by_key(party_key),
        lambda: TREATY.find_operator("p1"),
        lambda: TREATY.find_operator(""),
        lambda: TREATY.compute_identifier("op1"),
        lambda: TREATY.compute_identifier("P1"),
        lambda: TREATY.find_participant(0),
        lambda: TREATY.find_participant(len(TREATY.parties) + 1),
    )
    for find in finders:
        with pytest.raises(UnknownPartyError) as caught:
            find()
        assert caught.value.clause == "VN-2.2"


def test_the_largest_council_fits() -> None:
    council = make_council(128, 86)
    assert open_treaty(council.treaty.data) == council.treaty
    with pytest.raises(EncodingError, match="0 to 128 items"):
        make_council(129, 86)
