"""Treaties: what all parties signed, and every treaty that nobody should be able to sign (VN-3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from support.world import deal_group, make_council
from vetonet.attestation.platform import SIMULATED
from vetonet.crypto import frost
from vetonet.crypto.frost.group import multiply_base
from vetonet.crypto.keys import PublicKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign, sign_jointly
from vetonet.encoding import cbor
from vetonet.errors import (
    EncodingError,
    InvalidSignatureError,
    RefusedError,
    UnknownPartyError,
    VetonetError,
)
from vetonet.policy.action import ActionClass
from vetonet.policy.band import Band, BandRule
from vetonet.policy.expression import AllOf, AnyOf, Threshold
from vetonet.policy.quorum import Quorum, Recusal
from vetonet.policy.treaty import ActionRule, Endorser, Operator, Party, Treaty, open_treaty

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


def electorate(*names: str, k: int = 3, holders: tuple[str, ...] = ()) -> tuple[ActionRule, ...]:
    """Runs and leases by so many of these parties."""
    quorum = Quorum.of_threshold(k, names, holders)
    return tuple(
        ActionRule(action=action, quorum=quorum)
        for action in (ActionClass.RUN_GRANT, ActionClass.LEASE_RENEWAL)
    )


def rule(action: ActionClass) -> ActionRule:
    """The quorum for runs, for another class of action."""
    return ActionRule(action=action, quorum=TREATY.find_quorum(ActionClass.RUN_GRANT))


def regroup(*numbers: int) -> tuple[frost.PublicKeyPackage, ...]:
    (group,) = TREATY.groups
    return (replace(group, identifiers=tuple(map(frost.Identifier, numbers))),)


def deal(max_signers: int, min_signers: int) -> tuple[frost.PublicKeyPackage, ...]:
    return (deal_group(max_signers, min_signers, RNG)[0],)


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
            {"log_key": COUNCIL.group.key}, "one key stands under two names", id="one key, group and log"
        ),
        pytest.param(
            {"operators": (operator("o", COUNCIL.group.key),)},
            "one key stands under two names",
            id="one key, group and operator",
        ),
        pytest.param(
            {"actions": electorate("p1", "p2", "p3")},
            "FROST group",
            id="party left out, and still in the group",
        ),
        pytest.param(
            {"actions": electorate("p1", "p2", "p3", "p4", "p5")},
            "somebody who decides run-grant belongs to no party",
            id="stranger in the electorate",
        ),
        pytest.param(
            {"actions": electorate("p1", "p2", "p3", "p4", holders=("op1",))},
            "somebody who decides run-grant belongs to no party",
            id="stranger with a veto",
        ),
        pytest.param({"parties": ()}, "belongs to no party", id="no parties"),
        pytest.param(
            {"actions": electorate("p1", "p2", "p3", "p4", k=4)}, "FROST group", id="quorum above the group's"
        ),
        pytest.param({"groups": deal(4, 4)}, "FROST group", id="group above the quorum"),
        pytest.param({"groups": deal(4, 2)}, "FROST group", id="group below the quorum"),
        pytest.param({"groups": deal(5, 3)}, "FROST group", id="group with a stranger"),
        pytest.param({"groups": deal(3, 3)}, "FROST group", id="group without a party"),
        pytest.param({"groups": regroup(2, 3, 4, 5)}, "FROST group", id="group numbered from 2"),
        pytest.param({"groups": regroup(1, 2, 3, 9)}, "FROST group", id="group with a gap"),
        pytest.param({"groups": ()}, "a group for each of 1 thresholds", id="no group"),
        pytest.param(
            {"groups": TREATY.groups + deal(4, 3)},
            "a group for each of 1 thresholds",
            id="a group of no threshold",
        ),
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
        pytest.param({"lease_ms": 0}, "above zero", id="leases that do not last"),
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
        (4, []),
        (4, [{1: "run-grant"}]),
        (4, [{1: "baseline", 2: {}}]),
        (5, []),
        (5, [b""]),
        (5, [bytes(100)]),
        (7, 2**60),
        (12, [{1: "maker", 2: b"\x30", 3: SIMULATED}]),
        (13, "x" * 129),
        (14, bytes(44)),
        (14, bytes.fromhex("302a300506032b6570032100" + "01" + "00" * 31)),
        (18, 2**60),
        (19, 1),
        (20, -1),
        (21, None),
        (-1, 0),
    ],
)
def test_a_malformed_treaty_is_refused(label: int, value: object) -> None:
    # VN-2.3: the last log key is the identity of edwards25519.
    with pytest.raises(EncodingError):
        Treaty.from_bytes(cbor.to_bytes(TREATY.to_item() | {label: value}))


@pytest.mark.parametrize("label", range(1, 21))
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
        assert TREATY.find_party_by_id(name).key == key.public_key
        (held,) = COUNCIL.key_shares[name]
        assert COUNCIL.group.list_seats(name) == (held.share.identifier,) == (index + 1,)
        assert COUNCIL.group.find_owner(index + 1) == name
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
        lambda: TREATY.find_party_by_id("op1"),
        lambda: TREATY.find_party_by_id("P1"),
        lambda: COUNCIL.group.find_owner(0),
        lambda: COUNCIL.group.find_owner(len(TREATY.parties) + 1),
    )
    for find in finders:
        with pytest.raises(UnknownPartyError) as caught:
            find()
        assert caught.value.clause == "VN-2.2"


RUN, LEASE, PATCH = ActionClass.RUN_GRANT, ActionClass.LEASE_RENEWAL, ActionClass.SECURITY_PATCH
SUSPENSION: Final = ActionClass.EMERGENCY_SUSPENSION


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"actions": ()}, "expected a rule for run-grant", id="no rules"),
        pytest.param(
            {"actions": (rule(RUN),)}, "expected a rule for lease-renewal", id="runs without leases"
        ),
        pytest.param({"actions": (rule(LEASE),)}, "expected a rule for run-grant", id="leases without runs"),
        pytest.param({"actions": (rule(RUN), rule(RUN), rule(LEASE))}, "once", id="a class twice"),
        pytest.param({"actions": (rule(LEASE), rule(RUN))}, "in the order", id="classes in another order"),
        pytest.param(
            {"actions": (*TREATY.actions, rule(ActionClass.REMOVE_BASELINE))},
            "no quorum can remove-baseline",
            id="the baseline removed by consent",
        ),
        pytest.param(
            {"actions": (*TREATY.actions, rule(SUSPENSION))},
            "after which a suspension lapses",
            id="a suspension that never lapses",
        ),
        pytest.param(
            {"suspension_ms": 1}, "after which a suspension lapses", id="a lapse of what nobody can suspend"
        ),
    ],
)
def test_a_treaty_whose_rules_of_action_do_not_fit_is_refused(changes: dict[str, Any], reason: str) -> None:
    # VN-4.6
    with pytest.raises(ValueError, match=reason):
        replace(TREATY, **changes)


def test_a_treaty_that_lets_all_parties_remove_the_baseline_cannot_even_be_read() -> None:
    # VN-4.6: unanimity of the whole roster is not enough for what no treaty can say.
    item = TREATY.to_item()
    item[4].append({1: ActionClass.REMOVE_BASELINE.value, 2: item[4][0][2]})
    with pytest.raises(EncodingError, match="no quorum can remove-baseline"):
        Treaty.from_bytes(cbor.to_bytes(item))


@pytest.mark.parametrize("action", [action for action in ActionClass if action not in (RUN, LEASE)])
def test_a_class_of_action_without_a_rule_is_decided_by_nobody(action: ActionClass) -> None:
    # VN-4.6: where a treaty is silent, the answer is no, never the quorum of another class.
    for ask in (TREATY.find_quorum, TREATY.list_groups):
        with pytest.raises(RefusedError) as caught:
            ask(action)
        assert caught.value.clause == "VN-4.6"


def leaf(k: int, *names: str, weights: tuple[int, ...] = ()) -> Threshold:
    return Threshold(min_grants=k, electorate=names, weights=weights, minority=False)


def quorum(expression: Threshold | AllOf | AnyOf) -> Quorum:
    return Quorum(
        expression=expression, veto_holders=(), veto_share=None, min_ballots=0, recusal=Recusal.GRANTS
    )


def test_each_different_threshold_has_one_group_and_each_class_its_own_groups() -> None:
    # VN-3.2, VN-4.6
    few, key, many = leaf(2, "p1", "p2", "p3"), leaf(1, "p4"), leaf(3, "p1", "p2", "p4", weights=(2, 1, 1))
    chosen = {
        RUN: quorum(AllOf(parts=(few, key))),
        LEASE: quorum(few),
        PATCH: quorum(AnyOf(parts=(many, few))),
    }
    treaty = make_council(4, quorums=chosen).treaty.statement
    assert [group.leaf for group in treaty.all_groups] == [few, key, many]
    assert {action: [group.index for group in treaty.list_groups(action)] for action in chosen} == {
        RUN: [0, 1],
        LEASE: [0],
        PATCH: [0, 2],
    }
    assert treaty.all_groups[2].list_seats("p1") == (1, 2)
    assert [treaty.all_groups[2].find_owner(seat) for seat in (1, 2, 3, 4)] == ["p1", "p1", "p2", "p4"]
    assert treaty.all_groups[1].list_seats("p1") == ()


def test_two_thresholds_may_not_share_one_group() -> None:
    # VN-3.2: whoever signs for one would sign for the other.
    key_one, key_two = leaf(1, "p1"), leaf(1, "p2")
    council = make_council(4, quorums={PATCH: quorum(AllOf(parts=(key_one, key_two)))})
    first, second, _ = council.treaty.statement.groups
    with pytest.raises(ValueError, match="one key stands under two names"):
        replace(council.treaty.statement, groups=(first, second, second))


def test_the_largest_council_fits() -> None:
    council = make_council(128, 86)
    assert open_treaty(council.treaty.data) == council.treaty
    with pytest.raises(ValueError, match="at most 128 seats"):
        make_council(129, 86)
