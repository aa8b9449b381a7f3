"""What we emit against proto/vetonet/statements/policy.cddl, judged by a CDDL tool that is not ours."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support.tenancy import Tenancy
from support.world import make_council
from vetonet.crypto import cose
from vetonet.crypto.statement import Signed, Statement, peek
from vetonet.encoding import cbor
from vetonet.encoding.record import Record, compute_layout
from vetonet.policy.action import IMPOSSIBLE, ActionClass
from vetonet.policy.ballot import Ballot, VetoReason
from vetonet.policy.band import BandRule
from vetonet.policy.expression import AllOf, AnyOf, Threshold
from vetonet.policy.lease import Lease
from vetonet.policy.licence import Licence
from vetonet.policy.motion import MOVABLE, Motion, Resolution, derive_resolution, open_resolution
from vetonet.policy.proposal import Proposal
from vetonet.policy.quorum import Choice, Denominator, Quorum, Recusal, VetoShare
from vetonet.policy.standing import Consent, Standing
from vetonet.policy.totals import Totals
from vetonet.policy.treaty import Treaty
from vetonet.units import Precision, WorkloadClass

pycddl = pytest.importorskip("pycddl", reason="pycddl has no wheel for this platform")

RULES = Path(__file__).resolve().parents[2] / "proto" / "vetonet" / "statements" / "policy.cddl"

PATCH, SUSPENSION = ActionClass.SECURITY_PATCH, ActionClass.EMERGENCY_SUSPENSION
ROSTER = ("p1", "p2", "p3")
MANY = Threshold(min_grants=2, electorate=ROSTER, weights=(), minority=False)
WEIGHTED = Threshold(min_grants=3, electorate=ROSTER, weights=(2, 1, 1), minority=False)
KEY = Threshold(min_grants=1, electorate=("p3",), weights=(), minority=False)
SHARE = VetoShare(numerator=1, denominator=3, of=Denominator.CAST)
NESTED = AllOf(parts=(AnyOf(parts=(MANY, WEIGHTED)), KEY))
PLAIN = Quorum.of_threshold(2, ROSTER, ("p1",))
RULES_OF_PATCHES = replace(PLAIN, expression=NESTED, veto_share=SHARE, min_ballots=2)
COUNCIL = make_council(
    3,
    2,
    ("p1",),
    quorums={
        PATCH: RULES_OF_PATCHES,
        SUSPENSION: Quorum.of_threshold(1, ("p1", "p2"), minority=True),
    },
)
PROPOSAL = COUNCIL.sign_proposal(total_flop=2**64 + 1, per_device_flop=2**64)
BALLOTS = {choice: COUNCIL.sign_ballot("p1", PROPOSAL, choice) for choice in Choice}
LICENCE = COUNCIL.sign_licence(PROPOSAL, {name: COUNCIL.sign_ballot(name, PROPOSAL) for name in ("p1", "p3")})

MOTION = COUNCIL.move("p1", PATCH)
RESOLUTION = open_resolution(
    COUNCIL.sign_by(derive_resolution(COUNCIL.treaty, MOTION, 1, (2, 3, 4)), ROSTER, PATCH),
    COUNCIL.treaty,
    PATCH,
)
TENANCY = Tenancy.begin(COUNCIL, ("p1", "p3"))

EMITTED: dict[str, tuple[str, Signed[Any]]] = {
    "treaty": ("treaty", COUNCIL.treaty),
    "confidential treaty": ("treaty", make_council(totals=Totals.CONFIDENTIAL).treaty),
    "proposal": ("proposal", PROPOSAL),
    "proposal on P-256": ("proposal", COUNCIL.sign_proposal(operator_id="op2", lineage=(bytes(32),))),
    "proposal of one FLOP": (
        "proposal",
        COUNCIL.sign_proposal(total_flop=1, per_device_flop=1),
    ),
    "motion": ("motion", MOTION),
    "motion with a text": ("motion", COUNCIL.move("p2", PATCH, text="Approve it.")),
    "ballot to grant": ("grant", BALLOTS[Choice.GRANT]),
    "ballot to veto": ("veto", BALLOTS[Choice.VETO]),
    "ballot to abstain": ("abstention", BALLOTS[Choice.ABSTAIN]),
    "licence": ("licence", LICENCE),
    "lease": ("lease", TENANCY.sign_lease(2, ("p1", "p3"))),
    "consent withdrawn": ("withdrawal", TENANCY.sign_consent("p1")),
    "consent given": ("renewed-consent", TENANCY.sign_consent("p1", Standing.GIVEN, number=2)),
    "resolution": ("resolution", RESOLUTION),
}
OPTIONAL = {"motion": {9}, "treaty": {21}}
each_statement = pytest.mark.parametrize(
    ("rule", "signed"), [pytest.param(*entry, id=name) for name, entry in EMITTED.items()]
)


@cache
def load(rule: str) -> Any:
    return pycddl.Schema(f"start = {rule}\n{RULES.read_text(encoding='utf-8')}")


def judge(rule: str, value: object) -> None:
    load(rule).validate_cbor(value if isinstance(value, bytes) else cbor.to_bytes(value))


def refuse(rule: str, value: object) -> None:
    with pytest.raises(pycddl.ValidationError):
        judge(rule, value)


def envelope_of(data: bytes) -> str:
    # The tool lets an untagged array pass a choice between tags, so each envelope is judged by its own rule.
    if not data.startswith(cose.TAG_SIGN):
        return "one-signer"
    return "all-signers" if peek(data).kind == Treaty.TYPE else "groups"


def take_apart(data: bytes) -> list[Any]:
    tag = cose.TAG_SIGN if data.startswith(cose.TAG_SIGN) else cose.TAG_SIGN1
    parts: list[Any] = cbor.from_bytes(data[len(tag) :], max_bytes=100_000)
    return parts


@each_statement
def test_what_we_emit_fits_the_rules(rule: str, signed: Signed[Statement]) -> None:
    judge(rule, signed.statement.to_bytes())
    judge(envelope_of(signed.data), signed.data)
    protected, _, payload, last = take_apart(signed.data)
    judge(rule, payload)
    judge("joint-header" if isinstance(last, list) else "statement-header", protected)
    for own, _, _ in last if isinstance(last, list) else ():
        judge("signer-header", own)


@each_statement
def test_an_unknown_label_does_not_fit(rule: str, signed: Signed[Statement]) -> None:
    item = signed.statement.to_item()
    for label in (0, 99, -1, "extra"):
        refuse(rule, item | {label: 0})


@each_statement
def test_a_missing_field_does_not_fit(rule: str, signed: Signed[Statement]) -> None:
    item = signed.statement.to_item()
    for label in item.keys() - OPTIONAL.get(rule, set()):
        refuse(rule, {key: value for key, value in item.items() if key != label})


@each_statement
def test_a_field_of_another_kind_does_not_fit(rule: str, signed: Signed[Statement]) -> None:
    item = signed.statement.to_item()
    for label in item:
        for value in (None, True, -(2**40), {"x": 1}):
            refuse(rule, item | {label: value})


@each_statement
def test_a_short_or_long_byte_string_does_not_fit(rule: str, signed: Signed[Statement]) -> None:
    item = signed.statement.to_item()
    for label, value in item.items():
        if isinstance(value, bytes):
            refuse(rule, item | {label: value[:-1]})
            refuse(rule, item | {label: value + b"\x00"})


def test_a_charter_is_a_treaty_without_its_groups() -> None:
    charter = COUNCIL.treaty.statement.to_terms()
    judge("charter", charter.to_bytes())
    refuse("charter", COUNCIL.treaty.statement.to_bytes())
    refuse("treaty", charter.to_bytes())


def test_the_rules_name_every_optional_field_too() -> None:
    for kind in (Treaty, Proposal, Motion, Ballot, Licence, Lease, Consent, Resolution):
        emitted = [signed.statement for _, signed in EMITTED.values() if type(signed.statement) is kind]
        labels = {label for statement in emitted for label in statement.to_item()}
        assert labels == {declared.label for declared in compute_layout(kind)}


@pytest.mark.parametrize(
    ("rule", "label", "names"),
    [
        ("proposal", 5, WorkloadClass),
        ("proposal", 6, Precision),
        ("licence", -70111, WorkloadClass),
        ("licence", -70112, Precision),
    ],
)
def test_the_rules_know_every_word_of_the_code_and_no_other(rule: str, label: int, names: Any) -> None:
    item = EMITTED[rule][1].statement.to_item()
    for name in names:
        judge(rule, item | {label: name.value})
    refuse(rule, item | {label: "other"})


def test_the_rules_know_both_kinds_of_totals_and_who_stands_behind_an_operator() -> None:
    item = COUNCIL.treaty.statement.to_item()
    for totals in Totals:
        judge("treaty", item | {21: totals.value})
    refuse("treaty", item | {21: "hidden"})
    operator = COUNCIL.treaty.statement.operators[0]
    judge("operator", replace(operator, beneficial_owner="Owner One").to_item())
    refuse("operator", operator.to_item() | {4: ""})
    refuse("operator", operator.to_item() | {4: True})


def test_the_rules_know_every_veto_reason_and_band_rule() -> None:
    item = BALLOTS[Choice.VETO].statement.to_item()
    for reason in VetoReason:
        judge("veto", item | {7: reason.value})
    refuse("veto", item | {7: "mood"})
    band = COUNCIL.treaty.statement.bands[0].to_item()
    for rule in BandRule:
        judge("band", band | {3: rule.value})
    refuse("band", band | {3: "open"})


def test_the_rules_know_every_class_of_action_but_the_impossible_one() -> None:
    # VN-4.6, VN-5.6
    rule = COUNCIL.treaty.statement.actions[0].to_item()
    motion, resolution = MOTION.statement.to_item(), RESOLUTION.statement.to_item()
    for action in ActionClass:
        (refuse if action in IMPOSSIBLE else judge)("action-rule", rule | {1: action.value})
        is_movable = action in MOVABLE
        (judge if is_movable else refuse)("motion", motion | {4: action.value})
        (judge if is_movable else refuse)("resolution", resolution | {3: action.value})
    refuse("action-rule", rule | {1: "anything"})


def test_the_rules_know_every_word_of_a_quorum() -> None:
    quorum, share = RULES_OF_PATCHES.to_item(), SHARE.to_item()
    for recusal in Recusal:
        judge("quorum", quorum | {5: recusal.value})
    for denominator in Denominator:
        judge("veto-share", share | {3: denominator.value})
    refuse("quorum", quorum | {5: "nobody"})
    refuse("veto-share", share | {3: "everybody"})


def test_an_expression_of_one_part_or_too_many_seats_does_not_fit() -> None:
    # VN-4.1
    judge("expression", NESTED.to_item())
    few: tuple[list[Any], ...] = ([], [MANY.to_item()], [MANY.to_item()] * 17)
    for parts in few:  # each alternative alone: of a choice the tool sees less
        refuse("all-of", {5: parts})
        refuse("any-of", {6: parts})
    both = {5: [MANY.to_item(), KEY.to_item()], 6: [MANY.to_item(), KEY.to_item()]}
    refuse("all-of", both)
    refuse("any-of", both)
    wrong: tuple[dict[int, Any], ...] = ({1: 256}, {1: 0}, {2: []}, {3: [65]}, {3: [0]}, {4: 1})
    for changes in wrong:
        refuse("threshold", WEIGHTED.to_item() | changes)


def test_a_ballot_fits_only_with_what_its_choice_carries() -> None:
    # VN-6.1
    grant, veto, abstention = (BALLOTS[choice].statement.to_item() for choice in Choice)
    for item in (grant, veto, abstention):
        judge("ballot", item)  # of a choice the tool sees less than of each alternative
    refuse("grant", grant | {7: "scale"})
    refuse("grant", grant | {4: "veto"})
    refuse("veto", veto | {4: "abstain"})
    refuse("abstention", abstention | {4: "veto"})
    refuse("abstention", abstention | {7: "other"})


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (3, []),
        (3, [{1: "p1"}]),
        (3, [{1: "p1", 2: bytes(43)}]),
        (4, []),
        (4, [{1: "run-grant"}]),
        (5, []),
        (5, [bytes(37)]),
        (5, bytes(100)),
        (6, []),
        (7, 0),
        (8, 0),
        (9, 0),
        (14, bytes(91)),
        (18, 0),
        (19, -1),
        (20, 2**40),
    ],
)
def test_a_malformed_part_of_a_treaty_does_not_fit(label: int, value: object) -> None:
    refuse("treaty", COUNCIL.treaty.statement.to_item() | {label: value})


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ("party", COUNCIL.treaty.statement.parties[0]),
        ("operator", COUNCIL.treaty.statement.operators[1]),
        ("endorser", COUNCIL.treaty.statement.endorsers[0]),
        ("threshold", MANY),
        ("threshold", WEIGHTED),
        ("all-of", NESTED),
        ("any-of", NESTED.parts[0]),
        ("quorum", RULES_OF_PATCHES),
        ("veto-share", SHARE),
        ("action-rule", COUNCIL.treaty.statement.actions[0]),
        ("band", COUNCIL.treaty.statement.bands[0]),
    ],
)
def test_a_part_of_a_treaty_fits_alone_and_no_other_does(rule: str, part: Record) -> None:
    # The tool looks for unknown labels in the outermost map only, so each part is judged alone as well.
    item = part.to_item()
    judge(rule, item)
    refuse(rule, item | {9: 0})
    refuse(rule, list(item.values()))
    for label in item:
        refuse(rule, item | {label: None})
        refuse(rule, item | {label: -1})
        if (rule, label) not in {("operator", 3), ("quorum", 3)}:
            refuse(rule, {key: value for key, value in item.items() if key != label})


@pytest.mark.parametrize("name", ["treaty", "proposal", "licence"])
def test_another_envelope_does_not_fit(name: str) -> None:
    # VN-2.1
    data = EMITTED[name][1].data
    rule, parts, tag = envelope_of(data), take_apart(data), data[: 1 if name == "proposal" else 2]
    refuse(rule, parts)
    refuse(rule, b"\xd1" + cbor.to_bytes(parts))
    refuse(rule, tag + cbor.to_bytes(parts[:3]))
    refuse(rule, tag + cbor.to_bytes([*parts, b""]))
    refuse(rule, tag + cbor.to_bytes([*parts[:2], None, parts[3]]))
    refuse(rule, tag + cbor.to_bytes([*parts[:3], bytes(63) if name == "proposal" else []]))


def test_another_protected_header_does_not_fit() -> None:
    # VN-2.1
    header = cbor.from_bytes(take_apart(PROPOSAL.data)[0], max_bytes=1000)
    judge("statement-header", header)
    for changed in (
        header | {2: [4]},
        header | {1: -36},
        header | {4: bytes(31)},
        header | {16: "application/other.proposal+cbor"},
        header | {16: 61},
        {label: header[label] for label in (1, 4)},
        {label: header[label] for label in (4, 16)},
        {},
    ):
        refuse("statement-header", changed)
