"""A council of five processes founds its treaty over mutual TLS, and nobody holds another's secret."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.command_line import Ended, call, finish
from support.council import NAMES, PLAN, draft, make_cards, reserve_addresses, spell_founding, start_founding
from vetonet.crypto import frost
from vetonet.crypto.rng import SeededRng
from vetonet.party.founding_home import FOUNDING_FILE
from vetonet.party.home import Home, open_home
from vetonet.party.keystore import KEY_STORE_FILE, KeyFile, KeyStore
from vetonet.policy.founding import FoundingRecord
from vetonet.voting.founding import verify_founding

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
