"""The known answers of RFC 9591, appendix E.1, FROST(Ed25519, SHA-512), transcribed.

The RFC (June 2024) gives every intermediate value of participants 1 and 3 of a 2-of-3 group.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest

from vetonet.crypto import frost
from vetonet.crypto.frost.group import (
    h1,
    multiply_base,
    scalar_from_bytes,
    scalar_to_bytes,
)
from vetonet.crypto.frost.nonces import compute_nonce
from vetonet.crypto.frost.polynomial import evaluate
from vetonet.crypto.frost.signing import (
    compute_binding_factor_inputs,
    compute_binding_factors,
)
from vetonet.crypto.frost.vectors import iter_vector_cases
from vetonet.errors import ConfigError, EncodingError, VerificationError

GROUP_SECRET_KEY = "7b1c33d3f5291d85de664833beb1ad469f7fb6025a0ec78b3a790c6e13a98304"
GROUP_PUBLIC_KEY = "15d21ccd7ee42959562fc8aa63224c8851fb3ec85a3faf66040d380fb9738673"
MESSAGE = bytes.fromhex("74657374")
SHARE_POLYNOMIAL_COEFFICIENT_1 = "178199860edd8c62f5212ee91eff1295d0d670ab4ed4506866bae57e7030b204"

PARTICIPANT_SHARES = {
    1: "929dcc590407aae7d388761cddb0c0db6f5627aea8e217f4a033f2ec83d93509",
    2: "a91e66e012e4364ac9aaa405fcafd370402d9859f7b6685c07eed76bf409e80d",
    3: "d3cb090a075eb154e82fdb4b3cb507f110040905468bb9c46da8bdea643a9a02",
}

ROUND_ONE = {
    1: {
        "hiding_nonce_randomness": "06894e04ee4aceec8619d5f6a0a180e2f47194d2ac306cba586b555e7c48d765",
        "binding_nonce_randomness": "40d6f879ff22e22409f7d808fed81f37118e7d3e4af71c0f44c60207553bcbce",
        "hiding_nonce": "ef6599dea4010581a72b3018c37c29a4341d7cab0773e8687ca74dcf14009701",
        "binding_nonce": "2baadfa0c69aa60d517ad4751de372a73f9d89cfc39026601f18458cdec12605",
        "hiding_nonce_commitment": "9b116f12589591a7e23fe8048059ab10ab48e67739e7a2fb3890f61a7999478c",
        "binding_nonce_commitment": "c39b66b7dfccb122da24f13587f9a08c4347cae70046ca15169adf90ba65854d",
        "binding_factor_input": (
            "15d21ccd7ee42959562fc8aa63224c8851fb3ec85a3faf66040d380fb9738673504df914fa965023"
            "fb75c25ded4bb260f417de6d32e5c442c6ba313791cc9a4948d6273e8d3511f93348ea7a708a9b86"
            "2bc73ba2a79cfdfe07729a193751cbc93df7739fd1223d8697dfc21b1679435bafda1f92815944f2"
            "8d2faf21ded33ae94a16100090ae7d83555c9b2d961e3d5d1b62828e8cb58a88a73cda404f8f725a"
            "0100000000000000000000000000000000000000000000000000000000000000"
        ),
        "binding_factor": "ff960a65374e216a0918729b153466016664fa980d409bc3f308daa7acb30d0d",
    },
    3: {
        "hiding_nonce_randomness": "fa5d950626782aade9e33fa781376d4888c2d1de7c37518bc248eb818ed0cdde",
        "binding_nonce_randomness": "7459a4d14ded0e365b085271be8dc6600d5b88f3978a2174297ffa32001a5afc",
        "hiding_nonce": "80f8d9a4b8f9366e1a0b618107c907cd3ee29fa9bb40b4691cc1bde696240005",
        "binding_nonce": "2610b664a5a187b4855e87d2ff485bebdf043dc2f161fcd4854cd01dc0276404",
        "hiding_nonce_commitment": "e679a2a971748ccfaabead4dbe8ac1def61275c186c79d471e1e45091ad1e687",
        "binding_nonce_commitment": "b2a942478453fabb6bd3181c56ba657413447b4136e1daea2484d396d1a516b3",
        "binding_factor_input": (
            "15d21ccd7ee42959562fc8aa63224c8851fb3ec85a3faf66040d380fb9738673504df914fa965023"
            "fb75c25ded4bb260f417de6d32e5c442c6ba313791cc9a4948d6273e8d3511f93348ea7a708a9b86"
            "2bc73ba2a79cfdfe07729a193751cbc93df7739fd1223d8697dfc21b1679435bafda1f92815944f2"
            "8d2faf21ded33ae94a16100090ae7d83555c9b2d961e3d5d1b62828e8cb58a88a73cda404f8f725a"
            "0300000000000000000000000000000000000000000000000000000000000000"
        ),
        "binding_factor": "279d48ec56f16d234c09ea62f3d02ab776ee38e03f66b20f939f1316e13df10f",
    },
}

SIG_SHARES = {
    1: "60997f0142e43e8005027fe5ab7447dac00d22c2d7ddd9571a02613ba7d81c08",
    3: "79390e78bc59699c7af831f8f5fb478ec871a85f561a8641b5670ac4443f720f",
}

SIG = (
    "154fb694ee7fcb37bf2381d94488c2a84b03b3352ad085feca81ad26d45852b7ecfe971ce4da95c4"
    "a95db93ac376b053897fca212ef85f99cf696bffeb178f07"
)

COEFFICIENTS = tuple(
    scalar_from_bytes(bytes.fromhex(value)) for value in (GROUP_SECRET_KEY, SHARE_POLYNOMIAL_COEFFICIENT_1)
)
PUBLIC = frost.PublicKeyPackage(
    vss_commitment=tuple(map(multiply_base, COEFFICIENTS)),
    identifiers=tuple(map(frost.Identifier, PARTICIPANT_SHARES)),
)


def make_key_share(number: int) -> frost.KeyShare:
    return frost.KeyShare.from_signing_share(
        identifier=frost.Identifier(number),
        signing_share=scalar_from_bytes(bytes.fromhex(PARTICIPANT_SHARES[number])),
        group_public_key=PUBLIC.group_public_key,
        min_signers=2,
        max_signers=3,
    )


def commit_with_given_randomness(number: int) -> frost.SigningNonces:
    values = ROUND_ONE[number]
    chunks = iter(bytes.fromhex(values[f"{which}_nonce_randomness"]) for which in ("hiding", "binding"))
    return frost.commit(make_key_share(number), lambda _size: next(chunks))[0]


@pytest.fixture
def package() -> frost.SigningPackage:
    commitments = tuple(commit_with_given_randomness(number).commitments for number in ROUND_ONE)
    return frost.SigningPackage(message=MESSAGE, commitments=commitments)


def test_group_public_key_is_that_of_the_rfc() -> None:
    assert PUBLIC.group_public_key.to_bytes().hex() == GROUP_PUBLIC_KEY


@pytest.mark.parametrize("number", PARTICIPANT_SHARES)
def test_participant_share_is_that_of_the_rfc(number: int) -> None:
    assert scalar_to_bytes(evaluate(COEFFICIENTS, number)).hex() == PARTICIPANT_SHARES[number]


@pytest.mark.parametrize("number", ROUND_ONE)
@pytest.mark.parametrize("which", ["hiding", "binding"])
def test_nonce_and_commitment_are_those_of_the_rfc(number: int, which: str) -> None:
    values = ROUND_ONE[number]
    nonce = compute_nonce(
        make_key_share(number).signing_share, bytes.fromhex(values[f"{which}_nonce_randomness"])
    )
    assert scalar_to_bytes(nonce).hex() == values[f"{which}_nonce"]
    assert multiply_base(nonce).to_bytes().hex() == values[f"{which}_nonce_commitment"]


def test_commit_takes_the_hiding_randomness_first() -> None:
    commitments = commit_with_given_randomness(1).commitments
    assert commitments.hiding.to_bytes().hex() == ROUND_ONE[1]["hiding_nonce_commitment"]
    assert commitments.binding.to_bytes().hex() == ROUND_ONE[1]["binding_nonce_commitment"]


def test_binding_factors_and_their_inputs_are_those_of_the_rfc(package: frost.SigningPackage) -> None:
    inputs = compute_binding_factor_inputs(package, PUBLIC.group_public_key)
    factors = compute_binding_factors(package, PUBLIC.group_public_key)
    for values, data, entry in zip(ROUND_ONE.values(), inputs, factors, strict=True):
        assert data.hex() == values["binding_factor_input"]
        assert h1(data) == entry.factor
        assert scalar_to_bytes(entry.factor).hex() == values["binding_factor"]


@pytest.mark.parametrize("number", SIG_SHARES)
def test_signature_share_is_that_of_the_rfc(package: frost.SigningPackage, number: int) -> None:
    share = frost.sign(package, commit_with_given_randomness(number), make_key_share(number))
    assert scalar_to_bytes(share.share).hex() == SIG_SHARES[number]
    frost.verify_share(package, share, PUBLIC)


def test_signature_is_that_of_the_rfc(package: frost.SigningPackage) -> None:
    shares = [
        frost.SignatureShare(
            identifier=frost.Identifier(number), share=scalar_from_bytes(bytes.fromhex(value))
        )
        for number, value in SIG_SHARES.items()
    ]
    signature = frost.aggregate(package, shares, PUBLIC)
    assert signature.hex() == SIG
    PUBLIC.group_public_key.verify_signature(MESSAGE, signature)


@pytest.fixture
def document() -> dict[str, object]:
    """The same values in the layout of the vector files."""
    return {
        "config": {
            "MAX_PARTICIPANTS": "3",
            "NUM_PARTICIPANTS": "2",
            "MIN_PARTICIPANTS": "2",
            "name": "FROST(Ed25519, SHA-512)",
            "group": "ed25519",
            "hash": "SHA-512",
        },
        "inputs": {
            "participant_list": list(ROUND_ONE),
            "group_secret_key": GROUP_SECRET_KEY,
            "verifying_key_key": GROUP_PUBLIC_KEY,
            "message": MESSAGE.hex(),
            "share_polynomial_coefficients": [SHARE_POLYNOMIAL_COEFFICIENT_1],
            "participant_shares": [
                {"identifier": number, "participant_share": value}
                for number, value in PARTICIPANT_SHARES.items()
            ],
        },
        "round_one_outputs": {
            "outputs": [{"identifier": number, **values} for number, values in ROUND_ONE.items()]
        },
        "round_two_outputs": {
            "outputs": [{"identifier": number, "sig_share": value} for number, value in SIG_SHARES.items()]
        },
        "final_output": {"sig": SIG},
    }


def run_all(document: Mapping[str, object]) -> tuple[int, list[str]]:
    passed, failed = 0, []
    for name, verify in iter_vector_cases(document):
        try:
            verify()
            passed += 1
        except VerificationError:
            failed.append(name)
    return passed, failed


def find_values(node: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Return the paths of all hexadecimal values."""
    if isinstance(node, dict):
        return [found for key in node if key != "config" for found in find_values(node[key], (*path, key))]
    if isinstance(node, list):
        return [found for index, item in enumerate(node) for found in find_values(item, (*path, index))]
    return [path] if isinstance(node, str) else []


def test_all_values_of_the_rfc_pass_as_cases(document: dict[str, object]) -> None:
    assert run_all(document) == (23, [])


@pytest.mark.leaks_on_purpose  # the secrets are those that RFC 9591 prints
def test_one_changed_digit_in_any_value_fails_a_case(document: dict[str, object]) -> None:
    paths = find_values(document)
    assert len(paths) == 26
    for path in paths:
        changed = copy.deepcopy(document)
        node: object = changed
        for step in path[:-1]:
            node = node[step]  # type: ignore[index]
        value = node[path[-1]]  # type: ignore[index]
        node[path[-1]] = ("0" if value[0] != "0" else "1") + value[1:]  # type: ignore[index]
        try:
            failed = run_all(changed)[1]
        except EncodingError:
            continue
        assert failed, f"a changed {path} passes"


def test_failed_case_tells_expected_and_actual(document: dict[str, object]) -> None:
    document["final_output"] = {"sig": SIG[:-2] + "00"}
    cases = dict(iter_vector_cases(document))
    with pytest.raises(VerificationError, match=f"expected {SIG[:-2]}00, got {SIG}"):
        cases["signature"]()


@pytest.mark.parametrize("config", [None, {}, {"name": "FROST(ristretto255, SHA-512)"}, []])
def test_vector_of_another_ciphersuite_is_refused(document: dict[str, object], config: object) -> None:
    document["config"] = config
    with pytest.raises(ConfigError):
        iter_vector_cases(document)


@pytest.mark.parametrize("part", ["inputs", "round_one_outputs", "round_two_outputs", "final_output"])
@pytest.mark.parametrize("value", [None, {}, [], "text", {"outputs": [1]}, {"outputs": [{"identifier": 0}]}])
def test_vector_with_a_broken_part_is_refused(document: dict[str, object], part: str, value: object) -> None:
    document[part] = value
    with pytest.raises(EncodingError):
        run_all(document)


def test_vector_with_a_value_that_is_not_hexadecimal_is_refused(document: dict[str, object]) -> None:
    document["final_output"] = {"sig": "xy"}
    with pytest.raises(EncodingError):
        run_all(document)


def test_vector_with_impossible_counts_is_refused(document: dict[str, object]) -> None:
    document["config"] = {"name": "FROST(Ed25519, SHA-512)", "MIN_PARTICIPANTS": "two"}
    with pytest.raises(EncodingError):
        run_all(document)
