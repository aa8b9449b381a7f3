"""What a bundle is made of against bundle.cddl, judged by a CDDL tool that is not ours."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import cbor2
import pytest

from support.bundles import make_confidential_scene
from vetonet.compliance.bundle import DeviceSet
from vetonet.compliance.export import BundleExport, sign_export
from vetonet.compliance.parts import MAX_BYTES, PartKind
from vetonet.encoding import cbor

pycddl = pytest.importorskip("pycddl", reason="pycddl has no wheel for this platform")

RULES = Path(__file__).resolve().parents[2] / "proto" / "vetonet" / "statements" / "bundle.cddl"


def judge(rule: str, item: Any) -> None:
    schema = pycddl.Schema(f"start = {rule}\n{RULES.read_text(encoding='utf-8')}")
    schema.validate_cbor(cbor.to_bytes(item))


def test_every_part_of_a_bundle_fits_the_rules() -> None:
    scene = make_confidential_scene(windows=1)
    scene.run()
    scene.prove()
    data = sign_export(scene.bundle(), scene.council.operator_keys["op1"]).to_bytes()
    stream, kinds = BytesIO(data), set()
    while stream.tell() < len(data):
        part = cbor2.load(stream)
        kinds.add(part[0])
        judge("part", part)
    assert kinds == set(PartKind)


@pytest.mark.parametrize(
    "part",
    [
        [0, b"vetonet bundle"],
        [1, b""],
        [3, b""],
        [4, bytes(MAX_BYTES[PartKind.REPORT] + 1)],
        [5, bytes(MAX_BYTES[PartKind.PROOF] + 1)],
        [7, bytes(31)],
        [8, b"more"],
        [1],
        [1, b"x", b"y"],
    ],
)
def test_another_part_does_not_fit(part: list[Any]) -> None:
    with pytest.raises(pycddl.ValidationError):
        judge("part", part)


def test_a_device_set_fits_and_one_of_nothing_does_not() -> None:
    judge("device-set", DeviceSet(ueids=(bytes(33), b"\x01" * 33)).to_item())
    changes: list[dict[int, Any]] = [{}, {1: []}, {1: [bytes(32)]}]
    for changed in changes:
        with pytest.raises(pycddl.ValidationError):
            judge("device-set", changed)


def test_an_export_fits_and_one_with_more_or_less_does_not() -> None:
    item = BundleExport(body_digest=bytes(32)).to_item()
    judge("bundle-export", item)
    changes: list[dict[int, Any]] = [{}, {**item, 2: b""}, {1: bytes(31)}]
    for changed in changes:
        with pytest.raises(pycddl.ValidationError):
            judge("bundle-export", changed)
