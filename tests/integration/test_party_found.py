"""A council of five processes founds its treaty over mutual TLS, and nobody holds another's secret."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from support.command_line import Ended, call, finish, running
from support.council import NAMES, PLAN, draft, make_cards, reserve_addresses, spell_founding, start_founding
from support.readiness import wait_for_log
from vetonet.cli.directory import WITNESS_KEY_FILE
from vetonet.crypto import frost
from vetonet.crypto.rng import SeededRng
from vetonet.party.founding_home import EVIDENCE_FILE, FOUNDING_FILE
from vetonet.party.home import Home, open_home
from vetonet.party.keys import save_signing_key
from vetonet.party.keystore import KEY_STORE_FILE, KeyFile, KeyStore
from vetonet.policy.founding import FoundingRecord, SpoiltCeremony
from vetonet.voting.founding import verify_founding
from vetonet.voting.founding_log import list_statements

LATE_S = 1.5
PATIENCE = "50s"
MESSAGE = b"a licence"


def found(root: Path, charters: Mapping[str, Path], *options: str, late: str = "") -> dict[str, Ended]:
    """Return how each party's founding ended; one of them may begin later than the others."""
    addresses = reserve_addresses(tuple(charters))
    processes = {}
    for name in sorted(charters, key=lambda one: one == late):
        if name == late:
            time.sleep(LATE_S)
        processes[name] = start_founding(root, name, addresses, charters[name], *options)
    try:
        return {name: finish(process) for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


@dataclass(frozen=True, kw_only=True)
class Council:
    """A council that has founded its treaty."""

    root: Path
    draft: Path
    ends: Mapping[str, Ended]

    def unlock(self, name: str) -> KeyFile:
        return KeyFile.read(self.root / f"{name}.key")

    def open(self, name: str) -> Home:
        return open_home(self.root / name, self.unlock(name), SeededRng(b"open"))


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Council:
    root = tmp_path_factory.mktemp("council")
    drafted = draft(root, "draft", make_cards(root))
    charters = {name: drafted / "parties" / name / "charter.cbor" for name in NAMES}
    return Council(root=root, draft=drafted, ends=found(root, charters, "--deadline", PATIENCE, late="P4"))


def sign_for_group(council: Council, index: int, *signers: str) -> bytes:
    """Return a signature by these parties' seats in a group, each share from its own home."""
    homes = {name: council.open(name) for name in signers}
    group = homes[signers[0]].treaty.statement.all_groups[index]
    held = [s.share for home in homes.values() for s in home.secrets.key_shares if s.group == index]
    shares = sorted(held, key=lambda share: share.identifier)[: group.package.min_signers]
    pairs = [frost.commit(share, SeededRng(b"sign").spawn(str(share.identifier))) for share in shares]
    package = frost.SigningPackage(message=MESSAGE, commitments=tuple(c for _, c in pairs))
    signed = [frost.sign(package, nonces, s) for s, (nonces, _) in zip(shares, pairs, strict=True)]
    return frost.aggregate(package, signed, group.package)


def test_all_five_end_with_one_treaty_though_one_began_late(council: Council) -> None:
    assert {name: ended.code for name, ended in council.ends.items()} == dict.fromkeys(NAMES, 0), council.ends
    assert len({ended.value["treaty"] for ended in council.ends.values()}) == 1
    assert len({council.open(name).treaty.data for name in NAMES}) == 1


def test_each_home_holds_its_own_seats_and_nobody_elses(council: Council) -> None:
    seats = {name: [held.seat for held in council.open(name).secrets.key_shares] for name in NAMES}
    assert seats == {
        "P1": [(0, 1), (0, 2)],
        "P2": [(0, 3)],
        "P3": [(0, 4), (1, 1)],
        "P4": [(1, 2)],
        "P5": [],
    }
    for name in NAMES:
        names = KeyStore.open(council.root / name / KEY_STORE_FILE, council.unlock(name)).names
        assert not [kept for kept in names if kept.startswith("founding-1-")]


@pytest.mark.parametrize(("index", "signers"), [(0, ("P1", "P2")), (0, ("P1", "P3")), (1, ("P3", "P4"))])
def test_the_shares_from_enough_homes_sign(council: Council, index: int, signers: tuple[str, ...]) -> None:
    group = council.open("P5").treaty.statement.all_groups[index]
    group.key.verify(MESSAGE, sign_for_group(council, index, *signers))


def test_anybody_derives_the_groups_from_the_record_of_the_founding(council: Council) -> None:
    for name in NAMES:
        kept = FoundingRecord.from_bytes((council.root / name / FOUNDING_FILE).read_bytes())
        verify_founding(council.open(name).treaty.statement, kept)


def test_the_convener_holds_no_secret_of_a_party(council: Council) -> None:
    for name in NAMES:
        given = {path.name for path in (council.draft / "parties" / name).iterdir()}
        assert given == {"charter.cbor", "tls-certificate.pem", "tls-authority.pem"}


def test_a_founded_home_founds_nothing_again(council: Council) -> None:
    charter = council.draft / "charter.cbor"
    ended = call(*spell_founding(council.root, "P1", dict.fromkeys(NAMES, "127.0.0.1:1"), charter))
    assert ended.code == 2
    assert "has a treaty already" in ended.err


def test_a_party_with_another_charter_is_named_by_every_process(tmp_path: Path) -> None:
    # VN-3.5
    cards = make_cards(tmp_path)
    drafted = draft(tmp_path, "draft", cards)
    other = draft(tmp_path, "other", cards, PLAN.replace("threshold = 3", "threshold = 4"))
    charters = {name: drafted / "parties" / name / "charter.cbor" for name in NAMES}
    charters["P3"].write_bytes((other / "charter.cbor").read_bytes())
    ends = found(tmp_path, charters, "--deadline", PATIENCE)
    assert {name: ended.code for name, ended in ends.items()} == dict.fromkeys(NAMES, 1), ends
    for ended in ends.values():
        said = ended.err.strip().splitlines()[-1]
        assert '"culprit": "P3"' in said
        assert "no ceremony was begun" in said
    assert not any((tmp_path / name / "treaty.cbor").exists() for name in NAMES)


@pytest.fixture
def coordinator(council: Council, tmp_path: Path) -> Path:
    """The coordinator's directory as council.md has it made, with the witness keys for a trial."""
    folder = tmp_path / "draft"
    shutil.copytree(council.draft, folder)
    for name in ("treaty.cbor", "trust-root.json", FOUNDING_FILE):
        shutil.copy(council.root / "P2" / name, folder / name)
    for name in NAMES:
        save_signing_key(folder / "parties" / name / WITNESS_KEY_FILE, council.open(name).witness_key)
    return folder


def serve(coordinator: Path) -> AbstractContextManager[dict[str, Any]]:
    everywhere = ("--listen", "127.0.0.1:0", "--log-listen", "127.0.0.1:0")
    data = ("--data", coordinator / "data", "--checkpoint-interval", "20ms")
    return running("serve", "--dir", coordinator, "--trial-witnesses", *everywhere, *data)


def test_the_founding_stands_in_the_log_for_anybody_to_judge(council: Council, coordinator: Path) -> None:
    # VN-15.11, VN-3.5
    treaty, kept = coordinator / "treaty.cbor", coordinator / FOUNDING_FILE
    leaves = list_statements(FoundingRecord.from_bytes(kept.read_bytes()))
    for _ in range(2):  # the second time it is there already
        with serve(coordinator) as ready:
            url = wait_for_log(ready["log"], len(leaves) + 1)
            from_log = call("treaty", "founding", treaty, "--log", url, "--json")
            watched = call("monitor", url, "--treaty", treaty, "--once", "--json")
        assert from_log == call("treaty", "founding", treaty, kept, "--json")
        assert (from_log.code, from_log.value["treaty"]) == (0, council.ends["P1"].value["treaty"])
        assert (watched.code, watched.value["read_size"]) == (0, len(leaves) + 1), watched
    assert call("log", "fsck", coordinator / "data", "--treaty", treaty).code == 0
    in_folder = call("treaty", "founding", coordinator / "charter.cbor", "--log", coordinator / "data")
    assert (in_folder.code, "nothing was spoilt" in in_folder.out) == (0, True)


@pytest.mark.parametrize("wrong", [b"", b"\xa0", b"another"])
def test_a_coordinator_does_not_begin_with_a_record_that_is_not_its_treaty_s(
    coordinator: Path, wrong: bytes
) -> None:
    path = coordinator / FOUNDING_FILE
    kept = FoundingRecord.from_bytes(path.read_bytes())
    path.write_bytes(replace(kept, attempt=2).to_bytes() if wrong == b"another" else wrong)
    ended = call("serve", "--dir", coordinator, "--data", coordinator / "data", "--trial-witnesses")
    assert ended.code == 4
    assert "expected the record of this treaty's founding" in ended.err


def test_what_is_kept_of_an_attempt_that_came_to_nothing_is_logged_as_well(
    coordinator: Path, tmp_path: Path
) -> None:
    # VN-15.11, VN-15.7
    kept = FoundingRecord.from_bytes((coordinator / FOUNDING_FILE).read_bytes())
    (coordinator / FOUNDING_FILE).unlink()
    spoilt = SpoiltCeremony(attempt=1, group=1, statements=kept.transcripts[1].statements[1:])
    evidence = coordinator / EVIDENCE_FILE.format(attempt=1)
    evidence.write_bytes(spoilt.to_bytes())
    with serve(coordinator) as ready:
        url = wait_for_log(ready["log"], len(list_statements(spoilt)) + 1)
        judged = call("treaty", "founding", coordinator / "charter.cbor", "--log", url)
    assert (judged.code, judged.out.count("\n")) == (1, 1)
    assert judged.out.startswith("attempt 1, group 1: P")
    evidence.write_bytes(replace(spoilt, attempt=2).to_bytes())
    ended = call("serve", "--dir", coordinator, "--data", tmp_path / "data", "--trial-witnesses")
    assert (ended.code, "this treaty's founding" in ended.err) == (4, True)
