"""One changed byte anywhere in a bundle: it is refused, or it is no longer COMPLIANT (VN-10.1)."""

from __future__ import annotations

import hashlib
from functools import cache
from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.bundles import Scene, make_compliant_scene, make_confidential_scene
from vetonet.compliance.result import Verdict
from vetonet.compliance.verify import verify_bundle
from vetonet.errors import VetonetError

TRAILER_BYTES = 36
SLICES = 8


@cache
def small() -> tuple[Scene, bytes]:
    scene = make_compliant_scene(chips=1, windows=1)
    return scene, scene.bundle().to_bytes()


def survives(data: bytes, scene: Scene | None = None) -> bool:
    """Whether a verifier would still say COMPLIANT."""
    scene = scene or small()[0]
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


@cache
def hidden() -> tuple[Scene, bytes, range]:
    """A confidential bundle, and where its report and proof stand: the rest is as in an open one."""
    scene = make_confidential_scene(chips=1, windows=1)
    scene.run()
    scene.prove()
    data = scene.bundle().to_bytes()
    return scene, data, range(data.index(scene.reports[0]) - 5, len(data) - TRAILER_BYTES)


@pytest.mark.parametrize("part", range(SLICES))
def test_every_changed_byte_of_a_hidden_count_and_its_proof_is_noticed(part: int) -> None:
    scene, data, offsets = hidden()
    for offset in offsets[part :: 3 * SLICES]:  # the rest is drawn at random below
        changed = bytearray(data)
        changed[offset] ^= 1 << (offset % 8)
        assert not survives(reseal(bytes(changed)), scene), f"byte {offset} is not bound by anything"


def test_the_hidden_bundle_itself_is_compliant() -> None:
    scene, data, _ = hidden()
    assert survives(data, scene)


@given(sizes=st.lists(st.integers(min_value=1, max_value=700), max_size=64), is_hidden=st.booleans())
def test_the_verdict_does_not_depend_on_where_chunks_are_cut(*, sizes: list[int], is_hidden: bool) -> None:
    scene, data = hidden()[:2] if is_hidden else small()
    cuts = [0, *accumulate(sizes), len(data)]
    chunks = [data[start:end] for start, end in pairwise(cuts)] + ([b""] * 2)
    assert verify_bundle(chunks, scene.trust_root, scene.judged_ms) == verify_bundle(
        data, scene.trust_root, scene.judged_ms
    )


@given(random=st.randoms(use_true_random=False), is_hidden=st.booleans())
def test_the_bundle_does_not_depend_on_the_order_in_which_parts_are_given(
    *, random: Random, is_hidden: bool
) -> None:
    scene = wide(is_hidden=is_hidden)
    expected = scene.bundle(earlier=heads_of(scene)).to_bytes()
    parts: dict[str, list[bytes]] = {
        "reports": scene.reports * 2,
        "proofs": scene.proofs * 2,
        "earlier": heads_of(scene) * 2,
    }
    for listed in parts.values():
        random.shuffle(listed)
    assert scene.bundle(**parts).to_bytes() == expected


@cache
def wide(*, is_hidden: bool) -> Scene:
    scene = make_confidential_scene(windows=2) if is_hidden else make_compliant_scene(windows=2)
    if is_hidden:
        scene.run()
        scene.prove()
    return scene


def heads_of(scene: Scene) -> list[bytes]:
    return [scene.sign_head(size) for size in (2, 5, scene.log.tree_size - 1)]


@given(offset=st.integers(min_value=0), change=st.integers(min_value=1, max_value=255))
def test_any_other_value_of_any_byte_is_noticed(offset: int, change: int) -> None:
    for scene, data in (small(), hidden()[:2]):
        changed = bytearray(data)
        changed[offset % len(data)] ^= change
        assert not survives(bytes(changed), scene)
        assert not survives(reseal(bytes(changed)), scene) or offset % len(data) >= len(data) - 32


@given(st.binary(max_size=200), st.integers(min_value=0), st.integers(min_value=0, max_value=64))
def test_bytes_put_in_or_taken_out_are_noticed(extra: bytes, offset: int, removed: int) -> None:
    _, data = small()
    place = offset % len(data)
    changed = data[:place] + extra + data[place + removed :]
    if changed == data:
        return
    assert not survives(changed)
