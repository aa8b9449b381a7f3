"""One changed byte anywhere in a bundle: it is refused, or it is no longer COMPLIANT (VN-10.1)."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.bundles import Scene, make_compliant_scene
from vetonet.compliance.result import Verdict
from vetonet.compliance.verify import verify_bundle
from vetonet.errors import VetonetError

TRAILER_BYTES = 36
SLICES = 8


@cache
def small() -> tuple[Scene, bytes]:
    scene = make_compliant_scene(chips=1, windows=1)
    return scene, scene.bundle().to_bytes()


def survives(data: bytes) -> bool:
    """Whether a verifier would still say COMPLIANT."""
    scene, _ = small()
    try:
        return verify_bundle(data, scene.trust_root, scene.judged_ms).verdict is Verdict.COMPLIANT
    except VetonetError:
        return False


def reseal(data: bytes) -> bytes:
    """What a forger does: make the trailer fit again."""
    body = data[:-TRAILER_BYTES]
    return body + data[-TRAILER_BYTES:-32] + hashlib.sha256(body).digest()


def test_the_bundle_itself_is_compliant_and_resealing_it_changes_nothing() -> None:
    _, data = small()
    assert survives(data)
    assert reseal(data) == data


@pytest.mark.parametrize("part", range(SLICES))
def test_every_changed_byte_is_noticed_even_when_the_trailer_is_made_to_fit(part: int) -> None:
    _, data = small()
    for offset in range(part, len(data) - TRAILER_BYTES, SLICES):
        changed = bytearray(data)
        changed[offset] ^= 1 << (offset % 8)
        assert not survives(reseal(bytes(changed))), f"byte {offset} is not bound by anything"


@given(offset=st.integers(min_value=0), change=st.integers(min_value=1, max_value=255))
def test_any_other_value_of_any_byte_is_noticed(offset: int, change: int) -> None:
    _, data = small()
    changed = bytearray(data)
    changed[offset % len(data)] ^= change
    assert not survives(bytes(changed))
    assert not survives(reseal(bytes(changed))) or offset % len(data) >= len(data) - 32


@given(st.binary(max_size=200), st.integers(min_value=0), st.integers(min_value=0, max_value=64))
def test_bytes_put_in_or_taken_out_are_noticed(extra: bytes, offset: int, removed: int) -> None:
    _, data = small()
    place = offset % len(data)
    changed = data[:place] + extra + data[place + removed :]
    if changed == data:
        return
    assert not survives(changed)
