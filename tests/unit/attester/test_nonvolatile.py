"""What a chip keeps: every field of its state or a reason why not, strictly read, and its secrets unseen."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.fleet import MODEL, make_fleet
from vetonet.attestation.platform import SIMULATED
from vetonet.attester.machine import step
from vetonet.attester.nonvolatile import REBUILT, Kept, read_kept, write_kept
from vetonet.attester.secure_element import SoftwareElement
from vetonet.attester.snapshots import SnapshotTaken
from vetonet.attester.state import ChipState, IntervalEnded, Phase, ReportSigned
from vetonet.crypto.keys import Algorithm, PublicKey, SigningKey, generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, VetonetError
from vetonet.units import MS_PER_HOUR

FLEET = make_fleet(lease_flop=10**23, lease_ms=4 * MS_PER_HOUR)


def run() -> ChipState:
    """A chip in the middle of leased work, with reports behind it."""
    chip = FLEET.run(FLEET.chips[0], hours=1)[0]
    return step(chip, FLEET.request(flop=10**18), chip.latest_ms)[0]


RUNNING = run()
SNAPSHOT = SnapshotTaken(at_ms=1, digest=bytes(32), salt=b"\x01" * 32)
KEPT = Kept(state=RUNNING, outbox=(SNAPSHOT, ReportSigned(data=b"report")))
DATA = write_kept(KEPT)


def spell(value: Any) -> Any:
    """An element by its secret, everything else as it is: elements compare by identity."""
    return value.device_key.private_key.private_numbers() if isinstance(value, SoftwareElement) else value


@pytest.mark.parametrize("name", [field.name for field in fields(ChipState)])
@pytest.mark.parametrize("chip", [RUNNING, FLEET.chips[1]], ids=["running", "started"])
def test_every_field_of_a_chip_is_kept_or_rebuilt_for_a_stated_reason(name: str, chip: ChipState) -> None:
    """VN-17.15."""
    found = read_kept(write_kept(Kept(state=chip))).state
    item = cbor.from_bytes(write_kept(Kept(state=chip)), max_bytes=2**20)
    if name in REBUILT:
        assert name not in item["state"]
        assert REBUILT[name]
    else:
        assert name in item["state"]
        assert spell(getattr(found, name)) == spell(getattr(chip, name))


def test_only_fields_that_are_there_are_said_to_be_rebuilt() -> None:
    assert REBUILT.keys() <= {field.name for field in fields(ChipState)}


def test_what_is_rebuilt_is_what_it_was_or_is_made_anew_by_the_next_start() -> None:
    found = read_kept(DATA).state
    assert found.log_policy == RUNNING.log_policy
    assert found.alias_key is None


def test_the_state_of_a_chip_has_one_spelling() -> None:
    found = read_kept(DATA)
    assert write_kept(found) == DATA
    assert found.outbox == KEPT.outbox


def test_all_chips_under_one_treaty_share_it_after_reading() -> None:
    states = [read_kept(write_kept(Kept(state=chip))).state for chip in FLEET.chips]
    assert len({id(state.treaty) for state in states}) == 1
    assert len({id(state.model) for state in states}) == 1


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_bytes_with_one_other_byte_are_refused_or_another_state(place: int, mask: int) -> None:
    data = DATA[:place] + bytes([DATA[place] ^ mask]) + DATA[place + 1 :]
    try:
        found = read_kept(data)
    except VetonetError:
        return
    assert write_kept(found) == data


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(VetonetError):
        read_kept(data)


@given(st.integers(0, len(DATA) - 1))
def test_bytes_that_are_cut_are_refused(size: int) -> None:
    with pytest.raises(EncodingError):
        read_kept(DATA[:size])


def alter(**changes: Any) -> bytes:
    """The same bytes with some members of the state changed."""
    item = cbor.from_bytes(DATA, max_bytes=2**20)
    return cbor.to_bytes(item | {"state": item["state"] | changes})


@pytest.mark.parametrize("version", [0, 1, 3, True, "2"])
def test_another_version_is_refused(version: Any) -> None:
    """VN-17.15."""
    item = cbor.from_bytes(DATA, max_bytes=2**20)
    with pytest.raises(EncodingError, match="version"):
        read_kept(cbor.to_bytes(item | {"version": version}))


def test_a_state_with_another_field_or_one_less_is_refused() -> None:
    """VN-17.15: what another firmware kept is not half read."""
    with pytest.raises(EncodingError):
        read_kept(alter(more=1))
    item = cbor.from_bytes(DATA, max_bytes=2**20)
    for name in item["state"]:
        rest = {key: value for key, value in item["state"].items() if key != name}
        with pytest.raises(EncodingError):
            read_kept(cbor.to_bytes(item | {"state": rest}))


def test_a_treaty_that_its_parties_did_not_sign_is_refused() -> None:
    """VN-17.15: who writes a chip's flash makes it obey nobody else."""
    data = bytearray(RUNNING.treaty.data)
    data[-1] ^= 1
    with pytest.raises(VetonetError):
        read_kept(alter(treaty=bytes(data)))


def test_a_licence_that_no_quorum_signed_is_refused() -> None:
    """VN-17.15."""
    licence = RUNNING.licence
    assert licence is not None
    data = bytearray(licence.signed.data)
    data[-1] ^= 1
    item = cbor.from_bytes(DATA, max_bytes=2**20)["state"]["licence"]
    with pytest.raises(VetonetError):
        read_kept(alter(licence=[item[0], item[1] | {"signed": bytes(data)}]))


def test_a_licence_of_a_treaty_that_the_chip_never_obeyed_is_refused() -> None:
    """VN-17.15."""
    other = make_fleet(lease_ms=6 * MS_PER_HOUR)
    item = cbor.from_bytes(DATA, max_bytes=2**20)["state"]["licence"]
    with pytest.raises(EncodingError, match="never obeyed"):
        read_kept(alter(licence=[item[0], item[1] | {"signed": other.licence.data}]))


class Sealed:
    """What stands between a chip and a key that it cannot read."""

    def __init__(self, seed: bytes) -> None:
        self._inner = SoftwareElement(device_key=generate_ecdsa(SeededRng(seed)))
        self.kind, self.platform = "sealed", None

    @property
    def public_key(self) -> PublicKey:
        return self._inner.public_key

    def sign(self, message: bytes) -> bytes:
        return self._inner.sign(message)

    def start(self, firmware_digest: bytes, seed: bytes) -> SigningKey:
        return self._inner.start(firmware_digest, seed)


def test_of_a_key_in_a_secure_element_only_its_public_half_is_kept() -> None:
    element = Sealed(b"element")
    data = write_kept(Kept(state=replace(RUNNING, secure_element=element)))
    assert read_kept(data, element).state.secure_element is element
    for other in (None, Sealed(b"twin")):
        with pytest.raises(EncodingError, match="another secure element"):
            read_kept(data, other)


def test_a_software_element_is_kept_whole_and_is_always_simulated() -> None:
    """VN-17.1: no flash can make another kind of it."""
    element = SoftwareElement(device_key=generate_ecdsa(SeededRng(b"s"), Algorithm.ES384))
    found = read_kept(write_kept(Kept(state=replace(RUNNING, secure_element=element)))).state
    assert (found.ueid, found.secure_element.kind) == (element.public_key.ueid, SIMULATED)
    with pytest.raises(TypeError):
        SoftwareElement(device_key=element.device_key, kind="TPM2")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "key",
    [
        ["p256", bytes(32)],
        ["p256", b"\x01" * 31],
        ["p257", bytes(32)],
        ["p256"],
        ["TPM2", "p256", b"\x01" * 32],
        b"",
    ],
)
def test_an_item_that_is_no_key_is_refused_without_being_shown(key: Any) -> None:
    with pytest.raises(EncodingError) as caught:
        read_kept(alter(secure_element=key))
    assert "x00" not in str(caught.value)


def test_a_model_that_is_not_in_the_table_cannot_be_kept() -> None:
    with pytest.raises(EncodingError, match="no such model"):
        write_kept(Kept(state=replace(RUNNING, model=replace(MODEL, tdp_w=1))))
    with pytest.raises(EncodingError, match="name of a model"):
        read_kept(alter(model="A chip"))


def test_what_a_chip_keeps_shows_none_of_its_keys() -> None:
    element = RUNNING.secure_element
    assert isinstance(element, SoftwareElement)
    number = element.device_key.private_key.private_numbers().private_value
    secret = number.to_bytes(32, "big")
    assert secret in DATA
    for shown in (repr(KEPT), str(KEPT), repr(read_kept(DATA))):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown


def test_a_chip_that_never_started_is_kept_as_well() -> None:
    made = replace(FLEET.chips[0], phase=Phase.OFF, alias_key=None)
    assert read_kept(write_kept(Kept(state=made))).state.phase is Phase.OFF


def test_a_report_after_reading_needs_another_start() -> None:
    with pytest.raises(ValueError, match="no alias key"):
        step(read_kept(DATA).state, IntervalEnded(), RUNNING.latest_ms + 1)
