"""What makers publish against reference_values.cddl, judged by a CDDL tool that is not ours (VN-17.6)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support.firmware import PATCHED, make_firmware, make_reference
from support.fleet import make_fleet
from vetonet.attestation.corim import MAX_CORIM_BYTES, Corim
from vetonet.attestation.reference_values import ReferenceValues, UpdatePurpose
from vetonet.encoding import cbor
from vetonet.encoding.cbor import Tagged
from vetonet.errors import EncodingError
from vetonet.sim.fleet import FIRMWARE

pycddl = pytest.importorskip("pycddl", reason="pycddl has no wheel for this platform")

STATEMENTS = Path(__file__).resolve().parents[2] / "proto" / "vetonet" / "statements"
TAGS = (501, 506, 552)

PUBLISHED: dict[str, ReferenceValues] = {
    "first": make_reference(),
    "patch": make_reference(PATCHED, number=2),
    "guarantee": make_reference(PATCHED, number=3, purpose=UpdatePurpose.NEW_GUARANTEE),
    "of a simulated fleet": make_reference(FIRMWARE, model=make_fleet().chips[0].model.name),
    "of sixteen components": make_reference(make_firmware(names=tuple(f"part {n:02}" for n in range(16)))),
}
each_published = pytest.mark.parametrize("values", PUBLISHED.values(), ids=PUBLISHED)


@cache
def load(rule: str, file: str = "reference_values.cddl") -> Any:
    return pycddl.Schema(f"start = {rule}\n{(STATEMENTS / file).read_text(encoding='utf-8')}")


def take_apart(corim: Corim) -> tuple[Any, Any]:
    """The corim-map and the CoMID of a CoRIM."""
    outer = cbor.from_tagged_bytes(corim.to_bytes(), max_bytes=MAX_CORIM_BYTES, tags=TAGS).content
    return outer, cbor.from_tagged_bytes(outer[1][0].content, max_bytes=MAX_CORIM_BYTES, tags=TAGS)


@each_published
def test_the_corim_and_its_comid_fit_the_rules(values: ReferenceValues) -> None:
    load("corim").validate_cbor(values.corim.to_bytes())
    load("comid").validate_cbor(cbor.to_tagged_bytes(take_apart(values.corim)[1]))


@each_published
def test_the_statement_around_it_fits_the_rules(values: ReferenceValues) -> None:
    load("reference-values", "attestation.cddl").validate_cbor(values.to_bytes())


def drop(container: Any, label: object) -> Any:
    return {key: item for key, item in container.items() if key != label}


def list_spoilt() -> dict[str, Any]:
    """CoMIDs with one thing wrong, by what it is."""
    _, comid = take_apart(make_reference().corim)
    environment, measurements = comid[4][0][0]
    first, *rest = measurements

    def with_measurement(changed: Any) -> Any:
        return comid | {4: {0: [[environment, [changed, *rest]]]}}

    def with_values(**changes: Any) -> Any:
        changed = first[1] | {int(label[1:]): item for label, item in changes.items()}
        return with_measurement(first | {1: changed})

    return {
        "a language": comid | {0: "en"},
        "no identity": drop(comid, 1),
        "a tag without a version": comid | {1: drop(comid[1], 1)},
        "two triples": comid | {4: {0: comid[4][0] * 2}},
        "endorsed triples": comid | {4: comid[4] | {1: comid[4][0]}},
        "an instance": comid | {4: {0: [[environment | {1: b"x"}, measurements]]}},
        "no model": comid | {4: {0: [[{0: drop(environment[0], 2)}, measurements]]}},
        "no measurement": comid | {4: {0: [[environment, []]]}},
        "seventeen measurements": comid | {4: {0: [[environment, [first] * 17]]}},
        "no name": with_measurement(drop(first, 0)),
        "an svn without a tag": with_values(_1=1),
        "a least svn": with_values(_1=Tagged(553, 1)),
        "no svn": with_measurement(first | {1: drop(first[1], 1)}),
        "flags": with_values(_3={}),
        "two digests": with_values(_2=[[1, bytes(32)], [1, bytes(32)]]),
        "SHA-384": with_values(_2=[[7, bytes(48)]]),
        "a version scheme": with_values(_0={0: "1.0", 1: 16384}),
    }


UNSEEN = frozenset({"two triples", "an instance", "two digests"})
"""What the tool does not see: it counts no arrays inside of arrays, and no members of maps in them."""


@pytest.mark.parametrize("what", [what for what in list_spoilt() if what not in UNSEEN])
def test_the_rules_refuse_what_is_spoilt(what: str) -> None:
    """VN-17.6."""
    with pytest.raises(pycddl.ValidationError):
        load("comid").validate_cbor(cbor.to_tagged_bytes(list_spoilt()[what]))


@pytest.mark.parametrize("what", list_spoilt())
def test_we_refuse_what_the_rules_refuse(what: str) -> None:
    """VN-17.6: the same subset, by both."""
    data = cbor.to_tagged_bytes(list_spoilt()[what])
    outer, _ = take_apart(make_reference().corim)
    corim = cbor.to_tagged_bytes(Tagged(501, outer | {1: [Tagged(506, data)]}))
    with pytest.raises(EncodingError):
        Corim.from_bytes(corim)


def test_a_corim_of_another_subset_is_refused_and_not_misread() -> None:
    """A CoRIM as others write it, with a trust anchor of an instance that has no model."""
    others = bytes.fromhex(
        "a303782468747470733a2f2f656e61637474727573742e636f6d2f7665726169736f6e2f312e302e30"
        "00505c57e8f446cd421b91c908cf93e13cfc0181d901fa41a0"
    )
    for data in (others, bytes.fromhex("d901f5") + others):
        with pytest.raises(EncodingError):
            Corim.from_bytes(data)
