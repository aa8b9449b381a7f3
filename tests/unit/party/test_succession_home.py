"""What a home keeps of a change of members and of a repair, and what it refuses to (VN-15.4, VN-15.10)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from support.charters import hold_ceremonies, make_founded
from support.world import make_council
from vetonet.crypto import frost
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed
from vetonet.errors import ConfigError
from vetonet.party.card import Card
from vetonet.party.founding_home import create_applicant, join, open_applicant
from vetonet.party.founding_ports import Derived
from vetonet.party.home import (
    Belongings,
    create_home,
    keep_successor,
    list_named_shares,
    open_home,
    read_successors,
)
from vetonet.party.home_settings import HomeSettings
from vetonet.party.keys import PartySecrets, SeatShare, verify_secrets
from vetonet.party.keystore import KEY_STORE_FILE, KeyFile, KeyStore
from vetonet.party.secret_files import write_secret
from vetonet.party.succession_home import (
    SuccessionMemory,
    begin_once,
    erase_superseded,
    keep_repaired,
    list_unlogged,
)
from vetonet.policy.founding import FoundingRecord, Position
from vetonet.policy.treaty import Treaty
from vetonet.voting.ceremony_state import Keep
from vetonet.voting.founding_log import list_statements
from vetonet.voting.ledger import Ledger, read_leaves
from vetonet.wire.identity import Role
from vetonet.wire.pki import generate_authority

NOW = 1_790_000_000_000
COUNCIL = make_council()
NEXT = make_council(rng=SeededRng(b"next"), epoch=2)
"""Other shares under another key, as far as a home can tell those of the next epoch."""

AUTHORITY = generate_authority("test.vetonet", now=NOW)
UNLOCK = KeyFile(bytes(range(32)))
POSITION = Position(charter=bytes(range(32)), attempt=1)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    secrets = PartySecrets(
        party_id="p1", statement_key=COUNCIL.party_keys["p1"], key_shares=COUNCIL.key_shares["p1"]
    )
    settings = HomeSettings(
        party_id="p1", trust_domain="test.vetonet", coordinator="127.0.0.1:7443", listen="127.0.0.1:0"
    )
    belongings = Belongings(
        treaty=COUNCIL.treaty,
        secrets=secrets,
        witness_key=COUNCIL.witness_keys["p1"],
        credential=AUTHORITY.issue(Role.PARTY, "p1", now=NOW),
        settings=settings,
    )
    create_home(tmp_path / "p1", belongings, UNLOCK, SeededRng(b"home"))
    return tmp_path / "p1"


def open_store(home: Path) -> KeyStore:
    return KeyStore.open(home / KEY_STORE_FILE, UNLOCK, SeededRng(b"store"))


def make_kept(treaty: Signed[Treaty] = NEXT.treaty) -> Keep:
    shares = tuple(held.share for held in NEXT.key_shares["p1"])
    return Keep(context=b"next", key_shares=shares, package=treaty.statement.groups[0])


def remember(home: Path, store: KeyStore, attempt: int = 1) -> SuccessionMemory:
    return SuccessionMemory(home, store, epoch=2, attempt=attempt)


def test_new_shares_stand_beside_the_old_and_the_treaty_says_which_count(home: Path) -> None:
    # VN-15.10
    remember(home, open_store(home)).keep_group(0, make_kept())
    secrets = open_home(home, UNLOCK, SeededRng(b"again")).secrets
    assert len(secrets.key_shares) == 2
    for council in (COUNCIL, NEXT):
        (found,) = secrets.find_shares(council.treaty.statement).values()
        assert found.to_bytes() == council.key_shares["p1"][0].share.to_bytes()


def test_another_attempt_takes_no_share_of_the_first_away(home: Path) -> None:
    store = open_store(home)
    remember(home, store).keep_group(0, make_kept())
    remember(home, store, attempt=2).keep_group(0, make_kept())
    assert len(list(list_named_shares(store, home))) == 3
    with pytest.raises(ConfigError, match="already"):
        remember(home, store).keep_group(0, make_kept())


def test_an_attempt_is_begun_once(home: Path) -> None:
    # VN-15.4
    remember(home, open_store(home)).begin(POSITION)
    with pytest.raises(ConfigError, match="--attempt 2"):
        remember(home, open_store(home)).begin(POSITION)
    begin_once(open_store(home), bytes(32), 2)


def test_nothing_is_signed_whose_share_was_not_kept(home: Path) -> None:
    # VN-15.10
    store, record = open_store(home), FoundingRecord(attempt=1, transcripts=())
    derived = Derived(treaty=NEXT.treaty.statement, key_shares=NEXT.key_shares["p1"], record=record)
    with pytest.raises(ConfigError, match="not kept"):
        remember(home, store).keep(derived)
    assert not list(home.glob("succession-*"))
    remember(home, store).keep_group(0, make_kept())
    remember(home, store).keep(derived)
    assert (home / "succession-2-1.cbor").exists()


def test_old_shares_are_erased_once_the_next_treaty_is_in_force_and_not_before(home: Path) -> None:
    store = open_store(home)
    remember(home, store).keep_group(0, make_kept())
    opened = open_home(home, UNLOCK, SeededRng(b"again"))
    assert erase_superseded(opened, store, COUNCIL.treaty.statement) == ()
    assert len(list(list_named_shares(store, home))) == 2
    assert erase_superseded(opened, store, NEXT.treaty.statement) == ("key-share-0-1-epoch-1",)
    (left,) = list_named_shares(open_store(home), home)
    assert left[0] == "key-share-0-1-epoch-2-attempt-1"


def test_a_share_of_a_group_that_the_next_treaty_keeps_is_not_erased(home: Path) -> None:
    opened, store = open_home(home, UNLOCK, SeededRng(b"again")), open_store(home)
    kept = replace(COUNCIL.treaty.statement, epoch=2)
    assert erase_superseded(opened, store, kept) == ()


def test_a_share_whose_group_stands_elsewhere_in_the_next_treaty_is_not_erased(home: Path) -> None:
    # VN-16.5: an amendment keeps the groups, and may mention them in another order.
    store = open_store(home)
    (held,) = COUNCIL.key_shares["p1"]
    store.put("key-share-7-1-epoch-1", held.share.to_bytes())
    store.erase("key-share-0-1-epoch-1")
    opened = open_home(home, UNLOCK, SeededRng(b"again"))
    assert erase_superseded(opened, store, replace(COUNCIL.treaty.statement, epoch=2)) == ()
    verify_secrets(opened.secrets, COUNCIL.treaty)


def test_a_repaired_share_is_kept_only_if_the_treaty_commits_to_it(home: Path) -> None:
    store, (held,) = open_store(home), COUNCIL.key_shares["p1"]
    for name, _, _ in list(list_named_shares(store, home)):
        store.erase(name)
    for wrong in (NEXT.key_shares["p1"][0].share, COUNCIL.key_shares["p2"][0].share):
        alone = frost.KeyShare.from_bytes(wrong.to_bytes())
        if alone.identifier == held.share.identifier:
            with pytest.raises(ConfigError, match="not the one"):
                keep_repaired(store, COUNCIL.treaty.statement, 0, alone)
    assert list(list_named_shares(store, home)) == []
    keep_repaired(store, COUNCIL.treaty.statement, 0, held.share)
    (found,) = open_home(home, UNLOCK, SeededRng(b"again")).secrets.key_shares
    assert isinstance(found, SeatShare)
    assert found.share.to_bytes() == held.share.to_bytes()


def test_successors_are_known_by_epoch_and_their_parties_may_be_named(home: Path) -> None:
    keep_successor(home, NEXT.treaty)
    assert keep_successor(home, NEXT.treaty).exists()
    opened = open_home(home, UNLOCK, SeededRng(b"again"))
    assert [treaty.data for treaty in opened.successors] == [NEXT.treaty.data]
    assert set(opened.treaties) == {COUNCIL.treaty.payload_digest, NEXT.treaty.payload_digest}
    assert opened.known_parties == {"p1", "p2", "p3"}


def test_a_successor_that_is_no_treaty_is_refused(home: Path) -> None:
    keep_successor(home, NEXT.treaty).write_bytes(b"no treaty")
    with pytest.raises(ConfigError, match="successor-2"):
        read_successors(home)


def test_a_newcomer_has_a_home_under_a_founding_treaty_that_does_not_name_it(tmp_path: Path) -> None:
    root, invitation = tmp_path / "p9", tmp_path / "invitation"
    card = create_applicant(root, "p9", UNLOCK, SeededRng(b"p9"))
    invite(invitation, card)
    applicant = open_applicant(root, invitation, UNLOCK, SeededRng(b"open"))
    settings = HomeSettings(
        party_id="p9",
        trust_domain="test.vetonet",
        coordinator="127.0.0.1:7443",
        listen="127.0.0.1:0",
        peers={"p1": "127.0.0.1:7451"},
    )
    join(applicant, COUNCIL.treaty, settings)
    opened = open_home(root, UNLOCK, SeededRng(b"again"))
    assert (opened.settings, opened.secrets.key_shares) == (settings, ())
    assert opened.treaty.data == COUNCIL.treaty.data
    with pytest.raises(ConfigError, match="has a treaty already"):
        open_applicant(root, invitation, UNLOCK, SeededRng(b"open"))


def test_a_newcomer_with_the_name_of_a_member_is_refused(tmp_path: Path) -> None:
    root, invitation = tmp_path / "p2", tmp_path / "invitation"
    invite(invitation, create_applicant(root, "p2", UNLOCK, SeededRng(b"p2")))
    applicant = open_applicant(root, invitation, UNLOCK, SeededRng(b"open"))
    settings = HomeSettings(
        party_id="p2", trust_domain="test.vetonet", coordinator="127.0.0.1:7443", listen="127.0.0.1:0"
    )
    with pytest.raises(ConfigError, match="another statement key"):
        join(applicant, COUNCIL.treaty, settings)
    assert not (root / "treaty.cbor").exists()
    assert generate_ed25519(SeededRng(b"x")).public_key != applicant.statement_key.public_key


def invite(folder: Path, card: Card) -> None:
    folder.mkdir()
    certificate = AUTHORITY.certify(card.request_pem, Role.PARTY, card.party_id, now=NOW)
    (folder / "tls-certificate.pem").write_bytes(certificate)
    (folder / "tls-authority.pem").write_bytes(AUTHORITY.certificate_pem)


def test_what_a_killed_party_left_out_of_the_log_is_what_the_next_one_logs(tmp_path: Path) -> None:
    # VN-15.11: whoever put the treaty in force may die before all that was signed for it is logged.
    signed, kept = make_founded().treaty, hold_ceremonies()
    leaves = list_statements(kept)
    write_secret(tmp_path / "succession-1-2.cbor", kept.to_bytes())
    ledger = read_leaves(Ledger(treaty=signed), enumerate((signed.data, *leaves[:5])))
    assert set(list_unlogged(tmp_path, ledger)) == set(leaves[5:])
    whole = read_leaves(Ledger(treaty=signed), enumerate((signed.data, *leaves)))
    assert list_unlogged(tmp_path, whole) == ()


def test_a_record_that_is_none_is_refused_by_its_name(tmp_path: Path) -> None:
    write_secret(tmp_path / "succession-1-1.cbor", b"junk")
    with pytest.raises(ConfigError, match=r"succession-1-1\.cbor: expected the record"):
        list_unlogged(tmp_path, Ledger(treaty=make_founded().treaty))
