"""Laws of fsck: no damage goes unseen, no content makes it raise, and a sound log is never accused."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from support.published import culprits, judge, publish
from vetonet.errors import EncodingError
from vetonet.tlog.tiles import Tile, list_tiles

SIZES = (1, 200, 256, 300, 600)
WHOLE = publish(*SIZES)
PATHS = sorted(WHOLE)
NEEDED = {tile.to_path() for tile in list_tiles(SIZES[-1])} | {"checkpoint"}

contents = st.binary(max_size=100) | st.sampled_from([WHOLE[path] for path in PATHS])


@given(steps=st.lists(st.integers(0, 600), min_size=1, max_size=5).map(lambda sizes: sorted({*sizes, 600})))
@settings(max_examples=20, deadline=None)
def test_a_log_is_clean_however_it_grew(steps: list[int]) -> None:
    assert judge(publish(*steps)).problems == ()


@given(path=st.sampled_from(PATHS), data=st.data())
@settings(max_examples=150, deadline=None)
def test_one_changed_bit_is_one_problem_of_its_file(path: str, data: st.DataObject) -> None:
    changed = bytearray(WHOLE[path])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert culprits(judge(WHOLE | {path: bytes(changed)})) == [path]


@given(damage=st.dictionaries(st.sampled_from(PATHS), st.none() | contents, min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_whatever_is_damaged_or_gone_is_never_clean(damage: dict[str, bytes | None]) -> None:
    damaged = {path for path, data in damage.items() if data != WHOLE[path]}
    files = {path: data for path, data in (WHOLE | damage).items() if data is not None}
    files.setdefault("checkpoint", b"")
    found = set(culprits(judge(files)))
    must_be_found = {path for path in damaged if path in files or path in NEEDED}
    assert bool(found) == bool(must_be_found)
    if "checkpoint" not in damaged:  # else nobody knows any more how many tiles there should be
        assert {path for path in must_be_found if path not in files} <= found


@given(
    files=st.dictionaries(
        st.sampled_from(PATHS)
        | st.from_regex(r"\A(tile/[0-8]|tile/entries|checkpoint)[/.x0-9p]{0,12}\Z")
        | st.text(max_size=20),
        contents,
        max_size=12,
    ),
    is_live=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_any_folder_gives_a_verdict(files: dict[str, bytes], is_live: bool) -> None:  # noqa: FBT001
    report = judge({"checkpoint": b"", **files}, is_live=is_live)
    for problem in report.problems:
        assert problem.detail.isprintable()
    for path in files:
        try:
            Tile.from_path(path)
        except EncodingError:
            assert not path.startswith("tile/") or not report.is_clean
