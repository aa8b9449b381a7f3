"""Chips that are taken out of service for good (VN-8.5)."""

from __future__ import annotations

from typing import Any

import pytest

from support.fleet import make_fleet
from vetonet.attestation.enrolment import AliasEndorsement, DeviceRetirement, RetirementReason
from vetonet.attestation.registry import Registry
from vetonet.attester.manufacture import describe
from vetonet.crypto.keys import SigningKey, generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign_jointly
from vetonet.errors import EncodingError, InvalidSignatureError, RefusedError, UnknownPartyError

FLEET = make_fleet()
COUNCIL, CHIP, OTHER = FLEET.council, FLEET.chips[0], FLEET.chips[1]
TREATY = COUNCIL.treaty.statement
MAKER, OP1, OP2 = COUNCIL.endorser_root, COUNCIL.operator_keys["op1"], COUNCIL.operator_keys["op2"]


def retire(keys: tuple[SigningKey, ...] = (MAKER, OP1), **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "ueid": CHIP.ueid,
        "endorser_id": "maker",
        "owner": "op1",
        "reason": RetirementReason.KEY_EXPOSED,
    }
    return sign_jointly(DeviceRetirement(**(fields | changes)), keys)


def make_registry() -> Registry:
    registry = Registry()
    registry.read_enrolment(FLEET.enrolments[0], TREATY)
    return registry


def test_a_retired_chip_stays_known_and_endorses_no_key_any_more() -> None:
    registry = make_registry()
    signed = registry.read_retirement(retire(), TREATY)
    assert signed.statement.reason is RetirementReason.KEY_EXPOSED
    assert registry.find_device(CHIP.ueid).ueid == CHIP.ueid
    with pytest.raises(RefusedError, match="was retired") as caught:
        registry.read_alias(FLEET.aliases[0])
    assert (caught.value.culprit, caught.value.clause) == ("op1", "VN-8.5")


@pytest.mark.parametrize("owner", ["op1", "op2"])
def test_a_retired_chip_is_never_enrolled_again_by_whomever(owner: str) -> None:
    registry = make_registry()
    registry.read_retirement(retire(), TREATY)
    enrolment = describe(CHIP, FLEET.maker, owner=owner, site="Elsewhere")
    again = sign_jointly(enrolment, (MAKER, COUNCIL.operator_keys[owner]))
    for data in (FLEET.enrolments[0], again):
        with pytest.raises(RefusedError, match="never comes back"):
            registry.read_enrolment(data, TREATY)


def test_a_chip_is_retired_once() -> None:
    registry = make_registry()
    registry.read_retirement(retire(), TREATY)
    with pytest.raises(RefusedError, match="was retired"):
        registry.read_retirement(retire(reason=RetirementReason.LOST), TREATY)


@pytest.mark.parametrize("keys", [(MAKER,), (OP1,), (MAKER, OP2), (generate_ecdsa(SeededRng(b"s")), OP1)])
def test_a_retirement_without_its_maker_or_its_owner_is_refused(keys: tuple[SigningKey, ...]) -> None:
    registry = make_registry()
    with pytest.raises(InvalidSignatureError):
        registry.read_retirement(retire(keys), TREATY)
    registry.read_alias(FLEET.aliases[0])


@pytest.mark.parametrize("changes", [{"owner": "op2"}, {"endorser_id": "stranger"}])
def test_another_owner_or_maker_cannot_retire_a_chip(changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownPartyError, match="expected a retirement of"):
        make_registry().read_retirement(retire((MAKER, OP2), **changes), TREATY)


def test_a_chip_that_was_never_enrolled_cannot_be_retired() -> None:
    with pytest.raises(UnknownPartyError, match="is enrolled"):
        make_registry().read_retirement(retire(ueid=OTHER.ueid), TREATY)


def test_a_retirement_in_a_copy_is_not_in_the_original() -> None:
    registry = make_registry()
    registry.copy().read_retirement(retire(), TREATY)
    registry.read_alias(FLEET.aliases[0])


def test_an_alias_is_no_retirement() -> None:
    assert DeviceRetirement.TYPE != AliasEndorsement.TYPE
    with pytest.raises(EncodingError):
        make_registry().read_retirement(FLEET.aliases[0], TREATY)
