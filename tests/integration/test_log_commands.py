"""``vetonet log``: kept, witnessed, read, proven and judged, by processes as users run them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.command_line import call, running, vetonet
from vetonet.cli.exits import Exit

ORIGIN = "log.example/trial"
LEAVES = [b"first", b"second", b"third"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The files of a log and its witness, and how both are started."""

    root: Path
    vkey: str
    witness_vkey: str

    @property
    def key(self) -> Path:
        return self.root / "log-key.pem"

    @property
    def data(self) -> Path:
        return self.root / "log"

    @property
    def policy(self) -> Path:
        return self.root / "log.policy"

    @contextmanager
    def witness(self) -> Iterator[str]:
        """Within, the witness runs at the URL."""
        options: tuple[str | Path, ...] = ("--name", "witness.example/w1", "--key", self.root / "w.pem")
        options = (*options, "--data", self.root / "witness", "--log-vkey", self.vkey)
        with running("witness", "run", *options, "--listen", "127.0.0.1:0") as ready:
            lines = (f"log {self.vkey}", f"witness w1 {self.witness_vkey} {ready['url']}", "quorum w1", "")
            self.policy.write_text("\n".join(lines))
            yield ready["url"]

    @contextmanager
    def serve(self, *options: str | Path) -> Iterator[dict[str, Any]]:
        """Within, the log runs."""
        address: tuple[str | Path, ...] = ("--listen", "127.0.0.1:0", "--log-listen", "127.0.0.1:0")
        known: tuple[str | Path, ...] = ("--data", self.data, "--key", self.key, "--origin", ORIGIN)
        with running("log", "serve", *known, *address, "--checkpoint-interval", "50ms", *options) as ready:
            yield ready

    def write_leaves(self) -> list[Path]:
        paths = [self.root / f"leaf-{number}" for number in range(len(LEAVES))]
        for path, leaf in zip(paths, LEAVES, strict=True):
            path.write_bytes(leaf)
        return paths

    def await_size(self, source: str | Path, size: int, *trust: str | Path) -> None:
        """The log has published so many leaves."""
        newest = ("--index", str(size - 1), "--out", self.root / "awaited")
        arguments = ("log", "export", source, *newest, *trust)
        ends = time.monotonic() + 20
        while (ended := call(*arguments)).code != Exit.OK:
            assert time.monotonic() < ends, ended.err
            time.sleep(0.05)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    vkey = call("log", "key", "--out", tmp_path / "log-key.pem", "--origin", ORIGIN).out.strip()
    named = call("witness", "key", "--out", tmp_path / "w.pem", "--name", "witness.example/w1")
    return Place(root=tmp_path, vkey=vkey, witness_vkey=named.out.strip())


def test_a_log_is_kept_witnessed_proven_and_judged(place: Place) -> None:
    first, *others = place.write_leaves()
    trust = ("--policy", place.policy)
    with place.witness():
        with place.serve(*trust) as ready:
            ended = vetonet("log", "append", first, "--server", ready["address"], "--json")
            assert ended.value == {"leaf_indices": [0]}
            place.await_size(ready["log"], 1, *trust)
        with place.serve(*trust) as ready:  # after a restart it goes on
            ended = vetonet("log", "append", *others, "--server", ready["address"])
            assert ended.out == f"1  {others[0]}\n2  {others[1]}\n"
            place.await_size(ready["log"], 3, *trust)
            exported = ("--index", "1", "--out", place.root / "proof", "--leaf-out", place.root / "leaf")
            assert call("log", "export", ready["log"], *exported, *trust).code == Exit.OK
    # With nobody running any more: the files alone.
    assert (place.root / "leaf").read_bytes() == LEAVES[1]
    judged = call("log", "proof", place.root / "proof", "--leaf", place.root / "leaf", *trust, "--json")
    assert judged.value == {"holds": True, "origin": ORIGIN, "leaf_index": 1, "tree_size": 3}
    assert call("log", "fsck", place.data, *trust).out.startswith("clean: 3 leaves")
    assert call("log", "fsck", place.data, "--vkey", place.vkey).code == Exit.OK
    receipt = ("--index", "2", "--format", "receipt", "--key", place.key, "--out", place.root / "cose")
    assert call("log", "export", place.data, *receipt, "--vkey", place.vkey).code == Exit.OK
    judged = call("log", "proof", place.root / "cose", "--leaf", others[1], "--vkey", place.vkey)
    assert judged.out == f"the receipt holds: {others[1]} is under a root that {ORIGIN} signed\n"


def test_without_its_witness_a_log_takes_leaves_and_shows_nothing(place: Place) -> None:
    leaf = place.write_leaves()[0]
    with place.witness():
        pass  # it wrote the policy, and is gone
    with place.serve("--policy", place.policy) as ready:
        assert vetonet("log", "append", leaf, "--server", ready["address"]).code == Exit.OK
        time.sleep(0.3)
        exported = ("--index", "0", "--out", place.root / "proof", "--vkey", place.vkey)
        shown = call("log", "export", ready["log"], *exported)
    assert shown.code == Exit.INCONCLUSIVE
    with place.witness(), place.serve("--policy", place.policy) as ready:
        place.await_size(ready["log"], 1, "--policy", place.policy)  # what was acknowledged comes out


@pytest.fixture
def proven(place: Place) -> Place:
    """A log without witnesses, at rest, and the proof of its second leaf."""
    leaves = place.write_leaves()
    with place.serve() as ready:
        assert vetonet("log", "append", *leaves, "--server", ready["address"]).code == Exit.OK
        place.await_size(ready["log"], 3, "--vkey", place.vkey)
    for form, options in {"proof": (), "cose": ("--format", "receipt", "--key", place.key)}.items():
        exported = ("--index", "1", "--out", place.root / form, "--vkey", place.vkey, *options)
        assert call("log", "export", place.data, *exported).code == Exit.OK
    return place


def test_a_proof_that_does_not_hold_ends_with_1_and_one_that_is_none_with_4(proven: Place) -> None:
    other = call("log", "key", "--out", proven.root / "other.pem", "--origin", ORIGIN).out.strip()
    policy = f"log {proven.vkey}\nwitness w1 {proven.witness_vkey}\nquorum w1\n"
    proven.policy.write_text(policy)
    right, wrong = proven.root / "leaf-1", proven.root / "leaf-2"
    for form in ("proof", "cose"):
        judge = ("log", "proof", proven.root / form, "--leaf")
        assert call(*judge, right, "--vkey", proven.vkey).code == Exit.OK
        for leaf, trust in (
            (wrong, ("--vkey", proven.vkey)),
            (right, ("--vkey", other)),
            (right, ("--policy", proven.policy)),
        ):
            ended = call(*judge, leaf, *trust)
            assert ended.code == Exit.NEGATIVE
            assert "the proof does not hold" in ended.err
        assert call(*judge, proven.root / "nowhere", "--vkey", proven.vkey).code == Exit.INVALID
        assert call(*judge, right).code == Exit.USAGE
    for data in (b"", b"c2sp.org/tlog-proof@v1\n", b"\xd2\x84"):
        (proven.root / "none").write_bytes(data)
        assert call("log", "proof", proven.root / "none", "--leaf", right, "--vkey", proven.vkey).code == 4


@pytest.mark.parametrize("form", ["proof", "cose"])
def test_no_changed_byte_leaves_a_proof_that_holds(proven: Place, form: str) -> None:
    path = proven.root / form
    data = path.read_bytes()
    for place in range(0, len(data), 5):
        changed = bytearray(data)
        changed[place] ^= 0x04
        path.write_bytes(changed)
        ended = call("log", "proof", path, "--leaf", proven.root / "leaf-1", "--vkey", proven.vkey)
        assert ended.code in (Exit.NEGATIVE, Exit.INVALID), place
        assert ended.err.count("\n") == 1


def test_a_leaf_that_is_not_there_cannot_be_exported(proven: Place) -> None:
    out = proven.root / "out"
    ended = call("log", "export", proven.data, "--index", "3", "--out", out, "--vkey", proven.vkey)
    assert (ended.code, out.exists()) == (Exit.NEGATIVE, False)


def test_a_corrupt_tile_is_exported_from_no_log(proven: Place) -> None:
    bundle = proven.data / "tiles" / "tile" / "entries" / "000.p" / "3"
    bundle.chmod(0o644)
    bundle.write_bytes(bundle.read_bytes().replace(b"second", b"Second"))
    out = proven.root / "out"
    ended = call("log", "export", proven.data, "--index", "1", "--out", out, "--vkey", proven.vkey)
    assert (ended.code, out.exists()) == (Exit.NEGATIVE, False)
    assert "tile/entries/000.p/3" in ended.err
    assert call("log", "fsck", proven.data, "--vkey", proven.vkey).code == Exit.NEGATIVE


def test_only_the_logs_own_key_signs_receipts(proven: Place) -> None:
    receipt = ("--index", "1", "--format", "receipt", "--out", proven.root / "out", "--vkey", proven.vkey)
    assert call("log", "export", proven.data, *receipt).code == Exit.USAGE
    assert call("log", "export", proven.data, *receipt, "--key", proven.root / "w.pem").code == Exit.USAGE


def test_a_log_is_served_once_and_by_its_own_key(proven: Place) -> None:
    call("log", "key", "--out", proven.root / "other.pem", "--origin", ORIGIN)
    known: tuple[str | Path, ...] = ("--data", proven.data, "--origin", ORIGIN, "--log-listen", "127.0.0.1:0")
    known = ("log", "serve", *known, "--listen", "127.0.0.1:0")
    ended = vetonet(*known, "--key", proven.root / "other.pem")
    assert (ended.code, "expected" in ended.err.splitlines()[-1]) == (Exit.USAGE, True)
    with proven.serve():
        ended = vetonet(*known, "--key", proven.key)
        assert "stop that one" in ended.err.splitlines()[-1]
        assert ended.code == Exit.USAGE


def test_what_cannot_be_a_leaf_is_refused_before_anything_is_sent(place: Place) -> None:
    (place.root / "large").write_bytes(bytes(2**16))
    for path in (place.root / "large", place.root / "nowhere", place.root):
        ended = call("log", "append", path, "--server", "127.0.0.1:1")
        assert (ended.code, str(path) in ended.err) == (Exit.INVALID, True)


def test_a_policy_that_is_not_this_logs_is_refused(place: Place) -> None:
    with place.witness():
        pass
    place.policy.write_text(place.policy.read_text().replace(place.vkey, place.witness_vkey))
    known = ("log", "serve", "--data", place.data, "--key", place.key, "--origin", ORIGIN)
    assert call(*known, "--policy", place.policy).code == Exit.INVALID
    place.policy.write_text(f"log {place.vkey}\nwitness w1 {place.witness_vkey}\nquorum w1\n")
    ended = call(*known, "--policy", place.policy)
    assert "expected URLs for a quorum of witnesses" in ended.err
