"""A party's home: whole or refused, encrypted, and nothing of anybody's is ever overwritten."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from support.world import make_council
from vetonet.crypto.keys import generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.errors import ConfigError
from vetonet.party.home import (
    ADDRESS_FILE,
    SAMPLE_RULES,
    Belongings,
    copy_journal,
    create_home,
    name_share,
    open_home,
    read_daemon_address,
    read_home_treaty,
)
from vetonet.party.home_settings import HomeSettings, parse_peer, parse_settings
from vetonet.party.keys import PartySecrets, encode_signing_key
from vetonet.party.keystore import KeyFile, KeyStore
from vetonet.party.rules_file import parse_rules
from vetonet.policy.rules import ASK
from vetonet.storage import MemoryJournal
from vetonet.storage.journal import Record
from vetonet.wire.identity import Role
from vetonet.wire.pki import generate_authority

NOW = 1_790_000_000_000
COUNCIL = make_council()
AUTHORITY = generate_authority("test.vetonet", now=NOW)
UNLOCK = KeyFile(bytes(range(32)))
OTHER = KeyFile(bytes(range(1, 33)))
SETTINGS = HomeSettings(
    party_id="p1",
    trust_domain="test.vetonet",
    coordinator="127.0.0.1:7443",
    listen="127.0.0.1:0",
    peers={"p2": "127.0.0.1:7452"},
)
ROSTER = ("p1", "p2", "p3")


def pack(party_id: str = "p1", settings: HomeSettings = SETTINGS) -> Belongings:
    return Belongings(
        treaty=COUNCIL.treaty,
        secrets=PartySecrets(
            party_id=party_id,
            statement_key=COUNCIL.party_keys[party_id],
            key_shares=COUNCIL.key_shares[party_id],
        ),
        witness_key=COUNCIL.witness_keys[party_id],
        credential=AUTHORITY.issue(Role.PARTY, party_id, now=NOW),
        settings=settings,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_home(tmp_path / "p1", pack(), UNLOCK, SeededRng(b"home"))
    return tmp_path / "p1"


def test_what_went_in_comes_out(home: Path) -> None:
    opened, packed = open_home(home, UNLOCK, SeededRng(b"again")), pack()
    assert opened.settings == SETTINGS
    assert opened.treaty.data == COUNCIL.treaty.data
    assert [held.seat for held in opened.secrets.key_shares] == [
        held.seat for held in packed.secrets.key_shares
    ]
    assert opened.witness_key.public_key == packed.witness_key.public_key
    assert opened.credential.identity == packed.credential.identity


def test_only_its_owner_opens_a_home_and_no_secret_is_in_the_clear(home: Path) -> None:
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    seed = encode_signing_key(COUNCIL.party_keys["p1"])
    share = COUNCIL.key_shares["p1"][0].share.to_bytes()
    for path in home.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert seed not in path.read_bytes()
            assert share not in path.read_bytes()


def test_the_name_of_a_share_holds_group_participant_and_epoch(home: Path) -> None:
    store = KeyStore.open(home / "keystore", UNLOCK)
    assert name_share(COUNCIL.key_shares["p1"][0], 1) == "key-share-0-1-epoch-1"
    assert set(store.names) == {"key-share-0-1-epoch-1", "statement-key", "tls-key", "witness-key"}


def test_the_sample_rules_ask_about_everything() -> None:
    sample = parse_rules(SAMPLE_RULES, "rules.toml")
    assert (sample.default, sample.rules) == (ASK, ())


def test_a_folder_in_use_is_never_made_a_home(home: Path) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="expected a new or empty folder"):
        create_home(home, pack(), OTHER, SeededRng(b"two"))
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_the_wrong_key_opens_nothing(home: Path) -> None:
    with pytest.raises(ConfigError, match="does not open with this passphrase or key file"):
        open_home(home, OTHER, SeededRng(b"x"))


@pytest.mark.parametrize("party_id", ["p2", "p3"])
def test_belongings_of_two_parties_make_no_home(party_id: str, tmp_path: Path) -> None:
    mixed = replace(pack(), witness_key=COUNCIL.witness_keys[party_id])
    with pytest.raises(ConfigError, match="witness key"):
        create_home(tmp_path / "x", mixed, UNLOCK, SeededRng(b"x"))
    lent = replace(pack(), credential=AUTHORITY.issue(Role.PARTY, party_id, now=NOW))
    with pytest.raises(ConfigError, match=f"the certificate is that of {party_id}"):
        create_home(tmp_path / "x", lent, UNLOCK, SeededRng(b"x"))
    assert not (tmp_path / "x").exists()


def test_a_home_of_another_treaty_than_its_trust_root_names_is_refused(home: Path) -> None:
    other = make_council(rng=SeededRng(b"another council"))
    (home / "treaty.cbor").write_bytes(other.treaty.data)
    with pytest.raises(ConfigError, match="another treaty"):
        read_home_treaty(home)


@pytest.mark.parametrize(
    "name", ["treaty.cbor", "trust-root.json", "keystore", "party.toml", "tls-certificate.pem"]
)
def test_a_home_that_lacks_anything_is_refused(name: str, home: Path) -> None:
    (home / name).unlink()
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        open_home(home, UNLOCK, SeededRng(b"x"))


def test_a_folder_with_a_treaty_that_is_no_home_is_told_apart_from_a_file_that_is_lost(home: Path) -> None:
    # The directory of `vetonet treaty new` has a treaty and a trust root, too.
    (home / "party.toml").unlink()
    expected = f"{home}: expected a party's home with party.toml; make one with `vetonet party init`"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        open_home(home, UNLOCK, SeededRng(b"x"))


@pytest.mark.parametrize("missing", ["statement-key", "witness-key", "tls-key"])
def test_a_key_store_that_lacks_a_secret_is_refused(missing: str, home: Path) -> None:
    KeyStore.open(home / "keystore", UNLOCK).erase(missing)
    with pytest.raises(ConfigError, match=missing):
        open_home(home, UNLOCK, SeededRng(b"x"))


def test_a_home_without_a_key_share_opens_because_the_share_can_be_repaired(home: Path) -> None:
    KeyStore.open(home / "keystore", UNLOCK).erase("key-share-0-1-epoch-1")
    assert open_home(home, UNLOCK, SeededRng(b"x")).secrets.key_shares == ()


def test_a_key_that_the_treaty_does_not_name_is_refused(home: Path) -> None:
    strange = encode_signing_key(generate_ed25519(SeededRng(b"strange")))
    KeyStore.open(home / "keystore", UNLOCK).put("statement-key", strange, replace=True)
    with pytest.raises(ConfigError, match="another statement key"):
        open_home(home, UNLOCK, SeededRng(b"x"))


def test_settings_that_anybody_may_write_are_refused(home: Path) -> None:
    (home / "party.toml").chmod(0o666)
    with pytest.raises(ConfigError, match="anybody may write this file"):
        open_home(home, UNLOCK, SeededRng(b"x"))


def test_the_daemon_is_where_it_last_said_or_else_where_it_is_to_be(home: Path) -> None:
    assert read_daemon_address(home, SETTINGS) == "127.0.0.1:0"
    (home / ADDRESS_FILE).write_text("127.0.0.1:40123\n")
    assert read_daemon_address(home, SETTINGS) == "127.0.0.1:40123"


def test_a_memory_comes_along_record_by_record() -> None:
    source, target = MemoryJournal(), MemoryJournal()
    for number in range(600):
        record = Record(kind="share", request_id=None, payload=bytes([number % 251]), recorded_at_ms=number)
        source.append((record,))
    assert copy_journal(source, target) == 600
    assert [s.record for s in target.read(0, 600)] == [s.record for s in source.read(0, 600)]


def test_settings_are_read_as_they_are_written() -> None:
    assert parse_settings(SETTINGS.to_text(), "party.toml", roster=ROSTER) == SETTINGS
    witnessing = replace(SETTINGS, witness_listen="[::1]:7444", peers={})
    assert parse_settings(witnessing.to_text(), "party.toml", roster=ROSTER) == witnessing


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('party = "p1"', 'party = "p9"', "party.toml:2: expected a party of the treaty"),
        ('party = "p1"', "", "expected a party in quotes, got nothing"),
        ('party = "p1"', "party = 1", "party.toml:2: expected a party in quotes, got 1"),
        ('listen = "127.0.0.1:0"', "listen = 1", "party.toml:5: listen: expected HOST:PORT in quotes, got 1"),
        ('listen = "127.0.0.1:0"', 'listen = "127.0.0.1"', "party.toml:5: listen: expected HOST:PORT"),
        ('listen = "127.0.0.1:0"', 'listens = "127.0.0.1:0"', "expected one of party, trust-domain"),
        ('p2 = "127.0.0.1:7452"', 'p1 = "127.0.0.1:7452"', "expected another party of the treaty, got 'p1'"),
        ('p2 = "127.0.0.1:7452"', 'p4 = "127.0.0.1:7452"', "expected another party of the treaty, got 'p4'"),
        ('p2 = "127.0.0.1:7452"', "p2 = 7452", "p2: expected HOST:PORT in quotes, got 7452"),
        ("[peers]", "", "expected one of party, trust-domain"),
    ],
)
def test_every_mistake_in_the_settings_is_told_with_its_line(old: str, new: str, said: str) -> None:
    text = SETTINGS.to_text()
    assert old in text
    with pytest.raises(ConfigError) as caught:
        parse_settings(text.replace(old, new), "party.toml", roster=ROSTER)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["p1=127.0.0.1:1", "p9=127.0.0.1:1", "p2", "p2=", "p2=nowhere", ""])
def test_a_peer_that_is_nobody_or_nowhere_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_peer(text, ("p2", "p3"))
