"""Any bytes give a value or a VetonetError, in every parser there is, and a value has one spelling.

The parsers are found, not listed: a class of the core that gains ``from_bytes`` or ``from_text`` is fuzzed
from then on.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vetonet
from support.bundles import make_compliant_scene
from support.ceremony import Table, make_cast
from support.charters import hold_ceremonies, make_founded
from support.chip_evidence import (
    certify,
    endorse,
    issue_pinned,
    judge,
    make_claims,
    make_evidence,
    report,
    sign_payload,
)
from support.histories import make_history
from support.inspecting import Scene, SpotCheck
from support.psa_tokens import ASKED, CLAIMS, ENDORSED, make_token
from support.silicon import driver_manifest, good_fields, make_key, make_opaque, make_report, pem_of, to_file
from support.silicon import judge as judge_spdm
from support.witnessed_log import NAMES, SIGNING_KEY, make_cosigned, make_log, make_policy
from support.world import make_council
from vetonet.attestation.eat import read_claims_set
from vetonet.attestation.evidence_file import Evidence
from vetonet.attestation.maker_root import read_maker_roots
from vetonet.attestation.psa import appraise_psa, read_psa_claims
from vetonet.attestation.psa_endorsements import read_psa_endorsements
from vetonet.attestation.spdm.certificate import read_pem_chain
from vetonet.attestation.spdm.evidence_entry import read_evidence
from vetonet.attestation.spdm.manifest_xml import read_manifest
from vetonet.cli.conformance import SUITES
from vetonet.compliance.result_token import open_result, sign_result
from vetonet.crypto import cose, frost
from vetonet.crypto.merkle import compute_leaf_hash
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import open_joint_statement, open_statement, peek, read_unverified
from vetonet.encoding import cbor
from vetonet.encoding.diagnostic import read_diagnostic
from vetonet.encoding.json_strict import read_json
from vetonet.encoding.record import Record, compute_layout
from vetonet.errors import VetonetError
from vetonet.party.memory import GivenShare
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import Ballot, open_ballot
from vetonet.policy.expression import AllOf, AnyOf, Threshold, read_item
from vetonet.policy.licence import open_licence
from vetonet.policy.matter import open_matter
from vetonet.policy.motion import derive_resolution, open_motion, open_resolution
from vetonet.policy.proposal import Proposal, open_proposal
from vetonet.policy.quorum import Choice, Quorum
from vetonet.policy.treaty import Treaty, open_treaty
from vetonet.tlog.cosignature import WitnessKey
from vetonet.tlog.fork import EvidenceKind, ForkEvidence, verify_fork
from vetonet.tlog.note import LogKey
from vetonet.tlog.policy import verify_cosigned
from vetonet.tlog.policy_file import read_policy, write_policy
from vetonet.tlog.proof_file import ProofFile, verify_proof_file
from vetonet.tlog.receipt import build_receipt, verify_receipt
from vetonet.tlog.witness import Conflict
from vetonet.voting.ceremony_transcript import CeremonyTranscript
from vetonet.voting.founding_log import choose_leaves, gather_founding, gather_spoilt, list_statements
from vetonet.voting.ledger import Ledger, read_leaf

CORE = (
    "encoding",
    "crypto",
    "policy",
    "attestation",
    "tlog",
    "confidential",
    "voting",
    "attester",
    "compliance",
)

LEAF = Threshold(min_grants=3, electorate=("p1", "p2"), weights=(2, 1), minority=False)
ALONE = Threshold(min_grants=1, electorate=("p2",), weights=(), minority=False)
PLAIN = Quorum.of_threshold(2, ("p1", "p2"), ("p1",))
BOTH = replace(PLAIN, expression=AllOf(parts=(AnyOf(parts=(LEAF, *PLAIN.leaves)), ALONE)))
COUNCIL = make_council(2, 2, ("p1",), quorums={ActionClass.SECURITY_PATCH: BOTH})
CAST = make_cast(2)
ROUND1_OF_CEREMONY = Table.seat(CAST).sent[0][2]
TREATY = COUNCIL.treaty
PROPOSAL = COUNCIL.sign_proposal()
BALLOT = COUNCIL.sign_ballot("p1", PROPOSAL)
VETO = COUNCIL.sign_ballot("p2", PROPOSAL, Choice.VETO)
LICENCE = COUNCIL.sign_licence(PROPOSAL, {"p1": BALLOT, "p2": COUNCIL.sign_ballot("p2", PROPOSAL)})
SHARE = COUNCIL.key_shares["p1"][0].share
COMMITMENTS = frost.commit(SHARE, COUNCIL.rng)[1]
MOTION = COUNCIL.move("p1", ActionClass.SECURITY_PATCH)
RESOLUTION = derive_resolution(TREATY, MOTION, 1, (2, 3))
GIVEN = GivenShare(
    digest=bytes(32), lease=0, attempt=1, statement_digest=bytes(32), commitments=(COMMITMENTS,)
)
ROUND1 = frost.generate_round1(
    identifier=SHARE.identifier, min_signers=2, max_signers=2, context=b"fuzz", rng=SeededRng(b"fuzz")
)[1]


COSIGNED = make_cosigned(make_log(3).checkpoint(), NAMES[:2])
LOG_POLICY = make_policy(2)
LEAF_HASH = compute_leaf_hash(make_log(3).leaf(2))
HISTORY = make_history()
PROOF_FILE = ProofFile(leaf_index=2, hashes=make_log(3).inclusion_proof(2).hashes, checkpoint=COSIGNED)
FORK = ForkEvidence(
    kind=EvidenceKind.FORK,
    first=COSIGNED,
    second=make_cosigned(make_log(5, parts_at=1).checkpoint(), NAMES[1:3]),
    hashes=make_log(5, parts_at=1).consistency_proof(3).hashes,
)


def find_classes(method: str) -> Iterator[type[Any]]:
    """Every class of the core that can be made from one argument by this method, by name."""
    for layer in CORE:
        package = importlib.import_module(f"vetonet.{layer}")
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for name, value in vars(importlib.import_module(info.name)).items():
                is_own = inspect.isclass(value) and value.__module__ == info.name and not name.startswith("_")
                if is_own and not issubclass(value, int) and callable(getattr(value, method, None)):
                    yield value


def takes_one_argument(parse: Callable[..., object]) -> bool:
    required = [
        p for p in inspect.signature(parse).parameters.values() if p.default is inspect.Parameter.empty
    ]
    return len(required) == 1


BINARY = [
    cls for cls in find_classes("from_bytes") if cls is not Record and takes_one_argument(cls.from_bytes)
]
TEXTUAL = [cls for cls in find_classes("from_text") if takes_one_argument(cls.from_text)]
RECORDS = [cls for cls in BINARY if issubclass(cls, Record) and compute_layout(cls)]

EXAMPLES: dict[str, bytes] = {
    "measurement report": make_report(make_key("chip 1")),
    "opaque data": make_opaque(),
    "certificate of a chip": read_pem_chain(pem_of())[0].to_bytes(),
    "treaty": TREATY.statement.to_bytes(),
    "proposal": PROPOSAL.statement.to_bytes(),
    "grant": BALLOT.statement.to_bytes(),
    "veto": VETO.statement.to_bytes(),
    "licence": LICENCE.statement.to_bytes(),
    "motion": MOTION.statement.to_bytes(),
    "resolution": RESOLUTION.to_bytes(),
    "threshold": LEAF.to_bytes(),
    "expression": BOTH.expression.to_bytes(),
    "quorum": BOTH.to_bytes(),
    "ed25519 key": COUNCIL.log_key.public_key.to_bytes(),
    "p256 key": COUNCIL.operator_keys["op2"].public_key.to_bytes(),
    "p384 key": COUNCIL.endorser_root.public_key.to_bytes(),
    "group": COUNCIL.group.package.to_bytes(),
    "key share": SHARE.to_bytes(),
    "commitments": COMMITMENTS.to_bytes(),
    "round 1": ROUND1.to_bytes(),
    "repair commitment": frost.RepairCommitment(
        identifier=SHARE.identifier, summands=ROUND1.vss_commitment
    ).to_bytes(),
    "secret package": frost.Round2Package(
        sender=frost.Identifier(1), receiver=frost.Identifier(2), share=SHARE.signing_share
    ).to_bytes(),
    "cosigned checkpoint": COSIGNED,
    "proof file": PROOF_FILE.to_bytes(),
    "fork": FORK.to_bytes(),
    "request to a witness": HISTORY.body(3, 7),
    "conflict": Conflict(known=HISTORY.sign(7), request=HISTORY.fork(2).ask(7, 7)).to_bytes(),
}
SCENE, ANSWERING = Scene.begin(), Scene.begin()
CHALLENGE = SCENE.by_party("p1", SCENE.ask())
ANSWERING.log(ANSWERING.by_party("p1", ANSWERING.ask()))
ANSWER = ANSWERING.by_operator(
    ANSWERING.answer(next(iter(ANSWERING.inspections.disclosures.values())).challenge.statement)
)
SAMPLED, REVEALED = SpotCheck.play(), SpotCheck.play(is_revealed=True)
RESULT = sign_result(make_compliant_scene().judge(), SIGNING_KEY, issued_at_s=1_800_000_000, build="fuzz")
RESULT_TOKEN = cose.parse_sign1(RESULT, max_bytes=2**20)
FOUNDED, FOUNDING_LEAVES = make_founded().treaty, list_statements(hold_ceremonies())
OPENERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "treaty": (open_treaty, TREATY.data),
    "proposal": (lambda data: open_proposal(data, TREATY), PROPOSAL.data),
    "ballot": (lambda data: open_ballot(data, TREATY), BALLOT.data),
    "licence": (lambda data: open_licence(data, TREATY), LICENCE.data),
    "motion": (lambda data: open_motion(data, TREATY), MOTION.data),
    "matter": (lambda data: open_matter(data, TREATY), MOTION.data),
    "resolution": (
        lambda data: open_resolution(data, TREATY, ActionClass.SECURITY_PATCH),
        COUNCIL.sign_by(RESOLUTION, ("p1", "p2"), ActionClass.SECURITY_PATCH),
    ),
    "given share": (GivenShare.from_bytes, GIVEN.to_bytes()),
    "expression": (
        lambda data: read_item(cbor.from_bytes(data, max_bytes=10_000)),
        BOTH.expression.to_bytes(),
    ),
    "statement": (lambda data: open_statement(data, Ballot, TREATY.statement.party_keys), VETO.data),
    "joint statement": (lambda data: open_joint_statement(data, Treaty, TREATY.signers), TREATY.data),
    "peek": (peek, BALLOT.data),
    "peek at many": (peek, TREATY.data),
    "unverified": (lambda data: read_unverified(data, Proposal), PROPOSAL.data),
    "unverified of many": (lambda data: read_unverified(data, Treaty), TREATY.data),
    "sign1": (cose.parse_sign1, BALLOT.data),
    "untagged sign1": (partial(cose.parse_sign1, tagged=False), BALLOT.data[1:]),
    "sign": (cose.parse_sign, TREATY.data),
    "leaf": (lambda data: read_leaf(Ledger(treaty=TREATY), 1, data), PROPOSAL.data),
    "challenge leaf": (lambda data: read_leaf(SCENE.ledger, 9, data), CHALLENGE),
    "answer leaf": (lambda data: read_leaf(ANSWERING.ledger, 9, data), ANSWER),
    "transcript leaf": (lambda data: read_leaf(SCENE.ledger, 9, data), SAMPLED.transcript),
    "spot check leaf": (lambda data: read_leaf(SAMPLED.asked, 9, data), SAMPLED.challenge),
    "round leaf": (lambda data: read_leaf(SCENE.ledger, 9, data), SAMPLED.opened),
    "commitment leaf": (lambda data: read_leaf(SAMPLED.called, 9, data), SAMPLED.commitment),
    "reveal leaf": (lambda data: read_leaf(SAMPLED.ledger, 9, data), SAMPLED.reveal),
    "finding leaf": (lambda data: read_leaf(REVEALED.ledger, 9, data), REVEALED.finding),
    "signed result": (lambda data: open_result(data, SIGNING_KEY.public_key), RESULT),
    "claims of a signed result": (
        lambda data: open_result(
            cose.sign1(data, RESULT_TOKEN.protected, SIGNING_KEY), SIGNING_KEY.public_key
        ),
        RESULT_TOKEN.payload,
    ),
    "header": (cose.parse_header, b"\xa1\x01\x27"),
    "cosigned checkpoint": (
        lambda data: verify_cosigned(data, LOG_POLICY, allow_other_lines=True),
        COSIGNED,
    ),
    "proof file": (
        lambda data: verify_proof_file(data, leaf_hash=LEAF_HASH, policy=LOG_POLICY),
        PROOF_FILE.to_bytes(),
    ),
    "fork": (lambda data: verify_fork(ForkEvidence.from_bytes(data), LOG_POLICY), FORK.to_bytes()),
    "receipt": (
        lambda data: verify_receipt(data, LEAF_HASH, SIGNING_KEY.public_key),
        build_receipt(LEAF_HASH, make_log(3).inclusion_proof(2), make_log(3).checkpoint(), SIGNING_KEY),
    ),
    "detached sign1": (
        cose.parse_detached_sign1,
        cose.sign1_detached(b"", {1: -8}, {}, SIGNING_KEY),
    ),
    "log policy": (read_policy, write_policy(LOG_POLICY, urls={"w1.example": "https://w1.example/"})),
    "ceremony": (CeremonyTranscript.begin(CAST.plan).add, ROUND1_OF_CEREMONY),
    "ceremony leaf": (lambda data: read_leaf(Ledger(treaty=FOUNDED), 1, data), FOUNDING_LEAVES[0]),
    "founding in a log": (
        lambda data: gather_founding(FOUNDED.statement, (data, *FOUNDING_LEAVES)),
        FOUNDING_LEAVES[1],
    ),
    "spoilt ceremonies in a log": (
        lambda data: gather_spoilt(FOUNDED.statement.to_terms(), (data, *FOUNDING_LEAVES[1:])),
        FOUNDING_LEAVES[0],
    ),
    "leaves of a ceremony": (lambda data: choose_leaves((data,)), FOUNDING_LEAVES[2]),
    "claims set": (read_claims_set, make_claims().to_bytes()),
    "evidence": (lambda data: judge(Evidence.from_bytes(data)), make_evidence().to_bytes()),
    "report of evidence": (lambda data: judge(make_evidence(report=data)), report()),
    "signed claims": (lambda data: judge(make_evidence(report=sign_payload(data))), make_claims().to_bytes()),
    "alias of evidence": (lambda data: judge(make_evidence(alias=data)), endorse()),
    "certificate of evidence": (lambda data: judge(make_evidence(certificate=data)), certify()),
    "psa token": (lambda data: appraise_psa(data, ENDORSED, ASKED), make_token()),
    "psa claims": (read_psa_claims, cbor.to_bytes(CLAIMS)),
    "roots": (read_maker_roots, issue_pinned()),
    "foreign cbor": (partial(cbor.from_foreign_bytes, max_bytes=4096), make_claims().to_bytes()),
    "strict JSON": (lambda data: read_json(data, 10_000), b'{"a": [1, -2.5e3, "\\u00e9"], "b": {}}'),
    "evidence of a chip": (read_evidence, to_file(good_fields())),
    "appraisal of a chip": (judge_spdm, to_file(good_fields())),
    "chain in PEM": (read_pem_chain, pem_of()),
    "reference manifest": (lambda data: read_manifest(data, "fuzz"), driver_manifest()),
    "cbor": (partial(cbor.from_bytes, max_bytes=4096), TREATY.statement.to_bytes()),
}

ATOMS = st.one_of(
    st.integers(-(2**64), 2**128 - 1),
    st.binary(max_size=70),
    st.sampled_from([bytes(size) for size in (16, 32, 33, 44, 64, 66, 91, 120)]),
    st.text(max_size=12),
    st.booleans(),
    st.none(),
)
KEYS = st.one_of(st.integers(-5, 30), st.text(max_size=2), st.binary(max_size=2))
ITEMS = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=10
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["00", "ff" * 32]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


def attempt(parse: Callable[[Any], object], data: Any) -> object | None:
    """Return the value, or None where it was refused as it should be; anything else raised is a bug."""
    try:
        return parse(data)
    except VetonetError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 600
    return None


def attempt_and_compare(cls: type[Any], data: bytes) -> None:
    value = attempt(cls.from_bytes, data)
    if value is not None:
        assert cls.to_bytes(value) == data


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with one to three edits: replaced, inserted, removed, repeated, or cut."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(changed)))
        stop = min(len(changed), start + draw(st.sampled_from([0, 0, 1, 1, 2, 32])))
        insert = draw(
            st.binary(max_size=3) | st.sampled_from([b"\xf6", b"\xa0", b"\x80", b"\xc2\x49", b"\xff"])
        )
        changed[start:stop] = changed[start:stop] * 2 if draw(st.booleans()) else insert
    return bytes(changed)


def test_the_parsers_were_found() -> None:
    found = {cls.__name__ for cls in BINARY}
    assert {"Treaty", "Proposal", "Ballot", "Licence", "PublicKey", "PublicKeyPackage", "KeyShare"} <= found
    assert all(attempt(parse, data) is not None for parse, data in OPENERS.values())
    for name, data in EXAMPLES.items():
        assert any(attempt(cls.from_bytes, data) is not None for cls in BINARY), name


@pytest.mark.parametrize("cls", BINARY, ids=lambda cls: cls.__name__)
@settings(max_examples=25)
@given(data=st.binary(max_size=150))
def test_any_bytes_are_a_value_or_refused(cls: type[Any], data: bytes) -> None:
    attempt_and_compare(cls, data)


@pytest.mark.parametrize("cls", TEXTUAL, ids=lambda cls: cls.__name__)
@settings(max_examples=40)
@given(text=st.text(max_size=80))
def test_any_text_is_a_value_or_refused(cls: type[Any], text: str) -> None:
    value = attempt(cls.from_text, text)
    if value is not None and hasattr(cls, "to_text"):
        assert cls.to_text(value) == text


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
@settings(max_examples=25)
@given(data=st.data())
def test_any_map_with_the_labels_of_a_record_is_a_value_or_refused(
    cls: type[Any], data: st.DataObject
) -> None:
    labels = [declared.label for declared in compute_layout(cls)]
    encoded = cbor.to_bytes({label: data.draw(ITEMS) for label in labels})
    attempt_and_compare(cls, encoded)


@pytest.mark.parametrize("name", EXAMPLES)
@settings(max_examples=30)
@given(data=st.data())
def test_mutated_bytes_are_a_value_or_refused(name: str, data: st.DataObject) -> None:
    mutated = data.draw(mutations(EXAMPLES[name]))
    for cls in BINARY:
        attempt_and_compare(cls, mutated)


@pytest.mark.parametrize(
    "name", ["treaty", "proposal", "grant", "veto", "licence", "threshold", "motion", "resolution", "quorum"]
)
@settings(max_examples=30)
@given(data=st.data())
def test_a_record_with_one_field_replaced_is_a_value_or_refused(name: str, data: st.DataObject) -> None:
    item = cbor.from_bytes(EXAMPLES[name], max_bytes=10_000)
    item[data.draw(st.sampled_from(list(item)))] = data.draw(ITEMS)
    for cls in (cls for cls in RECORDS if cls.__name__.lower() in {name, "ballot"}):
        attempt_and_compare(cls, cbor.to_bytes(item))


@pytest.mark.parametrize("name", OPENERS)
@settings(max_examples=40)
@given(data=st.data())
def test_mutated_statements_are_opened_or_refused(name: str, data: st.DataObject) -> None:
    parse, example = OPENERS[name]
    attempt(parse, data.draw(st.binary(max_size=120) | mutations(example)))


@pytest.mark.parametrize("name", OPENERS)
@settings(max_examples=30)
@given(data=st.data())
def test_any_cose_structure_is_opened_or_refused(name: str, data: st.DataObject) -> None:
    parse, _ = OPENERS[name]
    header = data.draw(st.dictionaries(st.sampled_from([1, 2, 4, 16]), ITEMS, max_size=4))
    signers = [[cbor.to_bytes(header), {}, data.draw(st.binary(max_size=64))], data.draw(ITEMS)]
    parts = [
        data.draw(st.just(cbor.to_bytes(header)) | ITEMS),
        data.draw(st.just({}) | ITEMS),
        data.draw(st.just(PROPOSAL.statement.to_bytes()) | ITEMS),
        data.draw(st.just(bytes(64)) | st.just(signers) | ITEMS),
    ]
    tag = data.draw(st.sampled_from([cose.TAG_SIGN1, cose.TAG_SIGN, b"", b"\xd1"]))
    attempt(parse, tag + cbor.to_bytes(parts))


COMID = {
    "triples": {
        "attester-verification-keys": [
            {
                "environment": {"class": {"id": {"value": "AA=="}}, "instance": {"value": "AA=="}},
                "verification-keys": [{"value": "-----BEGIN PUBLIC KEY-----"}],
            }
        ],
        "reference-values": [
            {
                "environment": {"class": {"id": {"value": "AA=="}}},
                "measurements": [
                    {
                        "value": {
                            "digests": [[1, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]],
                            "cryptokeys": [{"value": "AA=="}],
                            "version": {"value": "1"},
                        }
                    }
                ],
            }
        ],
    }
}
JUDGES = {name: suite.iter_cases for name, suite in SUITES.items()}
KEY = {"kty": "EC", "crv": "P-256", "x_hex": "00" * 32, "y_hex": "00" * 32}
VKEYS = {
    "log_vkey": LogKey(name="log.example", public_key=COUNCIL.log_key.public_key).to_vkey(),
    "witness_vkeys": [WitnessKey.of_ed25519("w.example", COUNCIL.log_key.public_key).to_vkey()],
}
DOCUMENTS_OF_MAKERS: list[Any] = [COMID, {"triples": {"reference-values": []}}]
DOCUMENTS: list[Any] = [
    {
        "title": "t",
        "input": {"sign0": {"key": KEY, "external": "00"}, "failures": {}},
        "output": {"cbor": "d284"},
    },
    {
        "testGroups": [
            {
                "type": "EddsaVerify",
                "publicKey": {"curve": "edwards25519"},
                "publicKeyDer": "30",
                "tests": [{"tcId": 1, "msg": "", "sig": "", "result": "valid"}],
            }
        ]
    },
    {"leafIdx": 0, "treeSize": 1, "root": "AA==", "leafHash": "AA==", "proof": None, "wantErr": False},
    {"config": {"name": "FROST(Ed25519, SHA-512)", "MAX_PARTICIPANTS": "3"}, "inputs": {"message": "00"}},
    [VKEYS | {"note": "a\n0\n\n", "quorum": 0, "accept": False}],
    [VKEYS | {"proof": "c2sp.org/tlog-proof@v1\n", "entry_b64": "AA==", "quorum": 1, "accept": False}],
]


@st.composite
def documents(draw: st.DrawFn, among: list[Any] = DOCUMENTS) -> object:
    """A vector file with one value somewhere replaced by any JSON."""
    document = json.loads(json.dumps(draw(st.sampled_from(among))))
    node: Any = document
    while True:
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        place = draw(st.sampled_from(places)) if places else None
        inner = node[place] if place is not None else None
        if place is None:
            return document
        if not isinstance(inner, dict | list) or draw(st.integers(0, 3)) == 0:
            node[place] = draw(JSON)
            return document
        node = inner


@pytest.mark.parametrize("name", JUDGES)
@settings(max_examples=40)
@given(document=documents() | st.dictionaries(st.text(max_size=6), JSON, max_size=3))
def test_any_vector_document_is_judged_or_refused(name: str, document: Any) -> None:
    cases = attempt(lambda doc: list(JUDGES[name](doc)), document)
    for _, thunk in cases if isinstance(cases, list) else ():
        attempt(lambda run: run(), thunk)


@settings(max_examples=100)
@given(document=documents(DOCUMENTS_OF_MAKERS) | JSON)
def test_any_endorsement_of_psa_devices_is_read_or_refused(document: Any) -> None:
    attempt(read_psa_endorsements, document)


@settings(max_examples=100)
@given(
    text=st.text(max_size=60)
    | st.text(alphabet="{}[]:,/\"h'0123456789af -truefalsn\\", max_size=40)
    | mutations(b"{ /c/ 1: h'00 ff', \"a\": [-2, true, null] }").map(lambda data: data.decode("latin-1"))
)
def test_any_diagnostic_notation_is_read_or_refused(text: str) -> None:
    attempt(read_diagnostic, text)


def test_every_module_of_the_core_can_be_imported() -> None:
    assert {info.name.split(".")[1] for info in pkgutil.iter_modules(vetonet.__path__, "vetonet.")} >= set(
        CORE
    )
