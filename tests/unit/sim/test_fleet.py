"""A fleet has an element for each of its chips, or none at all."""

from __future__ import annotations

import pytest

from support.fleet import make_fleet
from vetonet.attester.models import find_chip_model
from vetonet.attester.secure_element import SecureElement, SoftwareElement
from vetonet.crypto.keys import generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.sim.fleet import Fleet, Operator

MADE = make_fleet()


def make_elements(count: int) -> list[SecureElement]:
    return [SoftwareElement(device_key=generate_ecdsa(SeededRng(bytes([n])))) for n in range(count)]


def build(count: int, elements: list[SecureElement]) -> Fleet:
    name, key = next(iter(MADE.council.operator_keys.items()))
    return Fleet.build(
        find_chip_model("H100"),
        count,
        maker=MADE.maker,
        operator=Operator(operator_id=name, key=key),
        treaty=MADE.council.treaty,
        rng=SeededRng(b"fleet"),
        elements=elements,
    )


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_elements_than_of_chips_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"each of {count} chips, got 2"):
        build(count, make_elements(2))


def test_each_chip_has_the_key_of_one_element() -> None:
    elements = make_elements(2)
    expected = {element.public_key.ueid for element in elements}
    assert set(build(2, elements).device_set.ueids) == expected
    assert build(3, []).size == 3
