"""No secret in a repr: the one way in which values reach log lines, errors and tracebacks (invariant 6)."""

from __future__ import annotations

import pytest

from vetonet.attester.manufacture import Maker
from vetonet.attester.models import find_chip_model
from vetonet.attester.secure_element import SoftwareElement
from vetonet.attester.state import ChipState
from vetonet.cli.demo.stage import Cast, build_plan
from vetonet.cli.founding import Founded, found_treaty
from vetonet.crypto import frost
from vetonet.crypto.keys import EcdsaSigningKey, Ed25519SigningKey
from vetonet.crypto.pedersen import Opening
from vetonet.crypto.rng import SeededRng
from vetonet.sim.fleet import Fleet, Operator

NOW_MS = 1_800_000_000_000


@pytest.fixture(scope="module")
def founded() -> Founded:
    return found_treaty(build_plan(Cast(chips=4, run_chips=4)), SeededRng(b"secrets").spawn, NOW_MS)


def build_chip(founded: Founded) -> ChipState:
    maker = Maker(
        endorser_id="chipworks",
        root=founded.makers["chipworks"],
        not_before_ms=NOW_MS,
        not_after_ms=NOW_MS + 10**9,
    )
    operator = Operator(operator_id="meridian", key=founded.operators["meridian"])
    fleet = Fleet.build(
        find_chip_model("H100"),
        1,
        maker=maker,
        operator=operator,
        treaty=founded.treaty,
        rng=SeededRng(b"chip"),
    )
    fleet.power_on(SeededRng(b"alias"), NOW_MS)
    return fleet._chips[0]


def list_secrets(value: object) -> list[bytes]:
    """The secret bytes behind a key of ours."""
    match value:
        case Ed25519SigningKey():
            return [value.seed]
        case EcdsaSigningKey():
            number = value.private_key.private_numbers().private_value
            return [number.to_bytes(value.private_key.key_size // 8, "big")]
        case SoftwareElement():
            return list_secrets(value.device_key)
        case frost.KeyShare():
            return [frost.group.scalar_to_bytes(value.signing_share)]
        case _:
            raise AssertionError(value)


def assert_silent(shown: str, secrets: list[bytes]) -> None:
    assert secrets
    for secret in secrets:
        number = int.from_bytes(secret, "big"), int.from_bytes(secret, "little")
        spellings = [secret.hex(), repr(secret)[2:-1], *map(str, number), *map(hex, number)]
        assert not any(spelling in shown for spelling in spellings)


def test_a_founding_shows_none_of_its_secrets(founded: Founded) -> None:
    keys = [*founded.operators.values(), *founded.makers.values(), founded.log_key]
    for party in founded.parties.values():
        keys += [party.statement_key, *(held.share for held in party.key_shares)]
    secrets = [secret for key in keys for secret in list_secrets(key)]
    credentials = list(founded.credentials.values())
    shown = repr((founded, founded.parties, founded.authority, credentials, keys))
    assert_silent(shown, secrets)
    assert "PRIVATE KEY" not in shown


def test_a_chip_shows_none_of_its_keys(founded: Founded) -> None:
    chip = build_chip(founded)
    assert chip.alias_key is not None
    assert_silent(repr(chip), [*list_secrets(chip.secure_element), *list_secrets(chip.alias_key)])


def test_a_signers_nonces_and_a_founders_polynomial_are_not_shown(founded: Founded) -> None:
    share = founded.parties["alder"].key_shares[0].share
    nonces, commitments = frost.commit(share, SeededRng(b"nonces"))
    shown = repr((nonces, commitments))
    taken = [frost.group.scalar_to_bytes(scalar) for scalar in nonces.take()]
    assert_silent(shown + repr(nonces), taken)
    secret, package = frost.generate_round1(
        identifier=frost.Identifier(1),
        min_signers=2,
        max_signers=3,
        context=b"test",
        rng=SeededRng(b"founder"),
    )
    coefficients = [frost.group.scalar_to_bytes(scalar) for scalar in secret.coefficients]
    assert_silent(repr((secret, package)), coefficients)


def test_an_opening_of_a_commitment_is_not_shown() -> None:
    blinding = bytes(range(1, 33))
    assert_silent(repr(Opening(value=123_456_789_987_654_321, blinding=blinding)), [blinding])
    assert "123456789987654321" not in repr(Opening(value=123_456_789_987_654_321, blinding=blinding))
