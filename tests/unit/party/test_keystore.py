"""A party's secrets at rest: closed to everybody without the passphrase or key file, never half written."""

from __future__ import annotations

import base64
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vetonet.crypto.rng import SeededRng
from vetonet.encoding import cbor
from vetonet.errors import ConfigError, VetonetError
from vetonet.party.keystore import KEY_STORE_FILE, KeyFile, KeyStore, Passphrase, ScryptCost, Unlock
from vetonet.party.keystore_format import (
    DEFAULT_COST,
    MAX_STORE_BYTES,
    MAX_STORED_SECRET_BYTES,
    Contents,
    NamedSecret,
    Seal,
    open_store,
)
from vetonet.party.secret_files import locked_folder

CHEAP = ScryptCost(log2_n=1, r=1, p=1)
SECRET = bytes(range(100, 132))
OPENERS: dict[str, Unlock] = {
    "passphrase": Passphrase(b"correct horse battery"),
    "key-file": KeyFile(SeededRng(b"key file")(32)),
}
WRONG: dict[str, tuple[Unlock, ...]] = {
    "passphrase": (Passphrase(b"correct horse batters"), OPENERS["key-file"]),
    "key-file": (KeyFile(SeededRng(b"another")(32)), OPENERS["passphrase"]),
}
REFUSED = r"does not open with this passphrase or key file, or was altered$"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "party" / KEY_STORE_FILE


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def unlock(opener: str) -> Unlock:
    return OPENERS[opener]


@pytest.fixture
def store(path: Path, unlock: Unlock) -> KeyStore:
    made = KeyStore.create(path, unlock, SeededRng(b"store"), cost=CHEAP)
    made.put("statement-key", SECRET)
    return made


def reopen(path: Path, unlock: Unlock, seed: bytes = b"again") -> KeyStore:
    return KeyStore.open(path, unlock, SeededRng(seed))


def assert_no_writer_left_anything(path: Path) -> None:
    assert [entry.name for entry in path.parent.iterdir()] == [KEY_STORE_FILE]


def test_what_was_put_comes_back(store: KeyStore, path: Path, unlock: Unlock) -> None:
    store.put("key-share/run-grant/3", b"\x00")
    opened = reopen(path, unlock)
    assert opened.names == store.names == ("key-share/run-grant/3", "statement-key")
    assert opened.get("statement-key") == SECRET
    assert opened.get("key-share/run-grant/3") == b"\x00"
    assert_no_writer_left_anything(path)


def test_a_new_store_holds_nothing_and_is_there(path: Path, unlock: Unlock) -> None:
    assert KeyStore.create(path, unlock, SeededRng(b"new"), cost=CHEAP).names == ()
    assert reopen(path, unlock).names == ()


def test_what_does_not_unlock_is_refused_in_one_line(store: KeyStore, path: Path, opener: str) -> None:
    assert store.names
    for wrong in WRONG[opener]:
        with pytest.raises(ConfigError, match=REFUSED) as caught:
            reopen(path, wrong)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_store_with_any_byte_altered_is_refused(
    store: KeyStore, path: Path, unlock: Unlock, mask: int
) -> None:
    assert store.names
    whole = path.read_bytes()
    for index in range(len(whole)):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ mask]) + whole[index + 1 :])
        with pytest.raises(ConfigError):
            reopen(path, unlock)
    path.write_bytes(whole)
    assert reopen(path, unlock).get("statement-key") == SECRET


def test_a_truncated_or_longer_store_is_refused(store: KeyStore, path: Path, unlock: Unlock) -> None:
    assert store.names
    whole = path.read_bytes()
    for wrong in (*(whole[:size] for size in range(len(whole))), whole + b"\0", whole + whole):
        path.write_bytes(wrong)
        with pytest.raises(ConfigError, match="not a key store"):
            reopen(path, unlock)


def test_an_oversize_store_is_not_read(store: KeyStore, path: Path, unlock: Unlock) -> None:
    assert store.names
    path.write_bytes(bytes(MAX_STORE_BYTES + 1))
    with pytest.raises(ConfigError, match="at most"):
        reopen(path, unlock)


def test_a_header_of_another_store_is_refused(tmp_path: Path, unlock: Unlock) -> None:
    stores = []
    for name in ("one", "two"):
        place = tmp_path / name / KEY_STORE_FILE
        KeyStore.create(place, unlock, SeededRng(name.encode()), cost=CHEAP).put("key", SECRET)
        stores.append(cbor.from_bytes(place.read_bytes(), max_bytes=MAX_STORE_BYTES))
    mixed = tmp_path / "one" / KEY_STORE_FILE
    mixed.write_bytes(cbor.to_bytes({1: stores[0][1], 2: stores[1][2]}))
    with pytest.raises(ConfigError, match=REFUSED):
        reopen(mixed, unlock)


def rewrite_header(path: Path, change: Callable[[dict[int, object]], None]) -> None:
    item = cbor.from_bytes(path.read_bytes(), max_bytes=MAX_STORE_BYTES)
    change(item[1])
    path.write_bytes(cbor.to_bytes(item))


@pytest.mark.parametrize(
    ("log2_n", "r", "p"),
    [
        (20, 8, 1),
        (20, 1024, 1024),
        (21, 8, 1),
        (10, 8, 1024),
        (1, 64, 17),
        (1, 65, 1),
        (18, 8, 2),
        (40, 1, 1),
        (16, 1, 1),
        (0, 8, 1),
    ],
)
def test_scrypt_parameters_that_nobody_grants_are_refused_at_once(
    path: Path, log2_n: int, r: int, p: int
) -> None:
    KeyStore.create(path, OPENERS["passphrase"], SeededRng(b"cost"), cost=CHEAP)
    rewrite_header(path, lambda header: header.update({3: {1: log2_n, 2: r, 3: p}}))
    begin = time.process_time()
    with pytest.raises(ConfigError, match="not a key store"):
        reopen(path, OPENERS["passphrase"])
    assert time.process_time() - begin < 0.1  # 2 GiB of scrypt would take seconds


@pytest.mark.parametrize(("log2_n", "r", "p"), [(2, 1, 1), (1, 2, 1), (1, 1, 2)])
def test_scrypt_parameters_are_authenticated(path: Path, log2_n: int, r: int, p: int) -> None:
    KeyStore.create(path, OPENERS["passphrase"], SeededRng(b"cost"), cost=CHEAP)
    rewrite_header(path, lambda header: header.update({3: {1: log2_n, 2: r, 3: p}}))
    with pytest.raises(ConfigError, match=REFUSED):
        reopen(path, OPENERS["passphrase"])


def test_another_format_is_refused(store: KeyStore, path: Path, unlock: Unlock) -> None:
    assert store.names
    rewrite_header(path, lambda header: header.update({1: 2}))
    with pytest.raises(ConfigError, match="not a key store"):
        reopen(path, unlock)


def test_scrypt_parameters_in_a_store_for_a_key_file_are_refused(path: Path) -> None:
    KeyStore.create(path, OPENERS["key-file"], SeededRng(b"cost"))
    rewrite_header(path, lambda header: header.update({3: {1: 1, 2: 1, 3: 1}}))
    with pytest.raises(ConfigError, match="not a key store"):
        reopen(path, OPENERS["key-file"])


def test_the_default_cost_is_what_it_is_said_to_be() -> None:
    assert (2**DEFAULT_COST.log2_n, DEFAULT_COST.r, DEFAULT_COST.p) == (65536, 8, 1)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_store_that_others_may_open_is_refused(
    store: KeyStore, path: Path, unlock: Unlock, mode: int
) -> None:
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        reopen(path, unlock)
    with pytest.raises(ConfigError, match="chmod 600"):
        store.put("another", SECRET)


def test_only_the_owner_may_open_what_is_written(path: Path, unlock: Unlock) -> None:
    old = os.umask(0)
    try:
        KeyStore.create(path, unlock, SeededRng(b"mode"), cost=CHEAP).put("key", SECRET)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_link_is_not_followed(store: KeyStore, path: Path, unlock: Unlock) -> None:
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    with pytest.raises(ConfigError):
        reopen(path, unlock)
    with pytest.raises(ConfigError):
        store.put("another", SECRET)
    with pytest.raises(ConfigError, match="already"):
        KeyStore.create(path, unlock, SeededRng(b"link"), cost=CHEAP)
    assert elsewhere.read_bytes() == before


def test_a_link_that_leads_nowhere_is_not_written_through(path: Path, unlock: Unlock) -> None:
    path.parent.mkdir()
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(ConfigError, match="already"):
        KeyStore.create(path, unlock, SeededRng(b"link"), cost=CHEAP)
    assert not path.exists()


def test_a_folder_or_nothing_is_no_store(tmp_path: Path, unlock: Unlock) -> None:
    for wrong in (tmp_path, tmp_path / "nothing", tmp_path / "no" / "folder", tmp_path / "a\0b"):
        with pytest.raises(ConfigError):
            reopen(wrong, unlock)


def test_a_store_is_never_overwritten_by_a_new_one(store: KeyStore, path: Path, unlock: Unlock) -> None:
    with pytest.raises(ConfigError, match="never overwritten"):
        KeyStore.create(path, unlock, SeededRng(b"new"), cost=CHEAP)
    assert reopen(path, unlock).names == store.names


def test_a_secret_is_replaced_only_on_purpose(store: KeyStore, path: Path, unlock: Unlock) -> None:
    with pytest.raises(ConfigError, match="already"):
        store.put("statement-key", b"new")
    assert reopen(path, unlock).get("statement-key") == SECRET
    store.put("statement-key", b"new", replace=True)
    assert reopen(path, unlock).get("statement-key") == store.get("statement-key") == b"new"


def test_an_erased_secret_is_gone_from_the_file(store: KeyStore, path: Path, unlock: Unlock) -> None:
    store.put("old-share", b"old")
    store.erase("old-share")
    assert store.names == reopen(path, unlock).names == ("statement-key",)
    for held in (store, reopen(path, unlock)):
        with pytest.raises(ConfigError, match="no secret of the name 'old-share'"):
            held.get("old-share")


def test_what_is_not_there_is_neither_read_nor_erased(store: KeyStore, path: Path) -> None:
    before = path.read_bytes()
    for name in ("statement", "", "Statement-Key"):
        with pytest.raises(ConfigError, match="no secret"):
            store.get(name)
        with pytest.raises(ConfigError, match="no secret"):
            store.erase(name)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("", SECRET),
        ("x" * 129, SECRET),
        ("line\nbreak", SECRET),
        ("\ud800", SECRET),
        ("empty", b""),
        ("large", bytes(MAX_STORED_SECRET_BYTES + 1)),
        ("text", "hunter2-hunter2"),
        ("list", [SECRET]),
    ],
)
def test_what_cannot_be_kept_is_refused_without_quoting_it(
    store: KeyStore, path: Path, name: str, secret: bytes
) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="printable characters") as caught:
        store.put(name, secret)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert path.read_bytes() == before
    assert store.names == ("statement-key",)


def test_a_full_store_takes_no_more_and_loses_nothing(path: Path, rng: SeededRng) -> None:
    store = KeyStore.create(path, OPENERS["key-file"], rng)
    block = bytes(MAX_STORED_SECRET_BYTES)
    fitting = MAX_STORE_BYTES // MAX_STORED_SECRET_BYTES - 1
    for number in range(fitting):
        store.put(f"share {number}", block)
    with pytest.raises(ConfigError, match="at most"):
        store.put("one more", block)
    assert len(reopen(path, OPENERS["key-file"]).names) == fitting


class PowerCutError(BaseException):
    """Nothing runs after it."""


@pytest.mark.parametrize("call", ["fsync", "replace", "rename"])
def test_a_crash_before_the_rename_leaves_the_old_store(
    store: KeyStore, path: Path, unlock: Unlock, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object, **__: object) -> None:
        raise PowerCutError

    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, cut)
        if call == "rename":  # whichever of the two names the library calls
            patch.setattr(os, "replace", cut)
        with pytest.raises(PowerCutError):
            store.put("new", SECRET)
    assert path.read_bytes() == before
    assert path.with_name(f".{KEY_STORE_FILE}.new").exists()
    opened = reopen(path, unlock)
    assert opened.names == ("statement-key",)
    opened.put("new", SECRET)  # what the crash left is in nobody's way
    assert reopen(path, unlock).get("new") == SECRET
    assert_no_writer_left_anything(path)


def test_content_and_name_are_on_the_disk_before_a_put_returns(
    store: KeyStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, list[str]]] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append((is_folder, sorted(entry.name for entry in path.parent.iterdir())))

    monkeypatch.setattr(os, "fsync", note)
    store.put("new", SECRET)
    temporary = f".{KEY_STORE_FILE}.new"
    assert synced == [(False, [temporary, KEY_STORE_FILE]), (True, [KEY_STORE_FILE])]


def test_a_full_disk_leaves_the_old_store_and_no_other_file(
    store: KeyStore, path: Path, unlock: Unlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(ConfigError, match="No space left"):
            store.put("new", SECRET)
    assert_no_writer_left_anything(path)
    assert store.names == reopen(path, unlock).names == ("statement-key",)
    store.put("new", SECRET)
    assert reopen(path, unlock).get("new") == SECRET


def test_the_later_of_two_openers_loses_nothing_of_the_first(
    store: KeyStore, path: Path, unlock: Unlock
) -> None:
    other = reopen(path, unlock)
    store.put("mine", SECRET)
    with pytest.raises(ConfigError, match="open it again"):
        other.put("theirs", SECRET)
    with pytest.raises(ConfigError, match="open it again"):
        other.erase("statement-key")
    assert reopen(path, unlock).names == ("mine", "statement-key")


def test_a_second_writer_at_the_same_moment_is_refused(store: KeyStore, path: Path) -> None:
    with locked_folder(path), pytest.raises(ConfigError, match="another writer"):
        store.put("new", SECRET)
    store.put("new", SECRET)


def test_a_store_that_was_taken_away_is_not_written_anew(store: KeyStore, path: Path) -> None:
    path.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        store.put("new", SECRET)
    assert not path.exists()


@pytest.mark.parametrize("new", OPENERS)
def test_a_changed_passphrase_opens_and_the_old_one_does_not(
    path: Path, new: str, unlock: Unlock, store: KeyStore
) -> None:
    changed = Passphrase(b"a new passphrase") if new == "passphrase" else KeyFile(SeededRng(b"new")(64))
    store.change_unlock(changed, cost=CHEAP)
    store.put("later", b"later")
    assert reopen(path, changed).names == ("later", "statement-key")
    assert reopen(path, changed).get("statement-key") == SECRET
    with pytest.raises(ConfigError, match=REFUSED):
        reopen(path, unlock)


def test_two_writes_share_neither_nonce_nor_ciphertext(store: KeyStore, path: Path) -> None:
    seen = [cbor.from_bytes(path.read_bytes(), max_bytes=MAX_STORE_BYTES)]
    for _ in range(3):
        store.put("statement-key", SECRET, replace=True)
        seen.append(cbor.from_bytes(path.read_bytes(), max_bytes=MAX_STORE_BYTES))
    assert len({item[1][5] for item in seen}) == len({item[2] for item in seen}) == 4
    assert len({item[1][4] for item in seen}) == 1


def test_no_secret_name_or_passphrase_stands_in_the_file(store: KeyStore, path: Path, unlock: Unlock) -> None:
    assert store.names
    data = path.read_bytes()
    for secret in (SECRET, b"statement-key", unlock.secret):
        for part in (secret, secret[::-1], secret[:8]):
            hexes = part.hex().encode(), part.hex().upper().encode()
            spellings = part, *hexes, base64.b64encode(part)[:-3], base64.b32encode(part)[:-6]
            assert not any(spelling in data for spelling in spellings)


def test_nothing_of_a_store_is_shown(store: KeyStore, path: Path, unlock: Unlock) -> None:
    entry = NamedSecret(name="statement-key", secret=SECRET)
    seal = Seal.generate(unlock, CHEAP, SeededRng(b"seal"))
    shown = repr((store, unlock, entry, Contents(secrets=(entry,)), seal, store._seal))
    for secret in (SECRET, unlock.secret, seal.keys.encryption, store._seal.keys.encryption):
        number = int.from_bytes(secret, "big"), int.from_bytes(secret, "little")
        spellings = [secret.hex(), repr(secret)[2:-1], *map(str, number), *map(hex, number)]
        assert not any(spelling in shown for spelling in spellings)
    assert repr(store) == f"KeyStore({str(path)!r}, 1 secrets)"
    assert repr(unlock) == f"{type(unlock).__name__}(<redacted>)"
    assert str(unlock) == f"{unlock}" == repr(unlock)


@pytest.mark.parametrize("secret", [b"", b"short", b"x" * 1025])
def test_what_is_no_passphrase_is_refused(secret: bytes) -> None:
    with pytest.raises(ValueError, match="expected a passphrase of 8 to 1024 bytes"):
        Passphrase(secret)


@pytest.mark.parametrize("secret", [b"", SECRET[:31], bytes(32), b"abab" * 16, SECRET * 200])
def test_what_is_no_key_file_is_refused(tmp_path: Path, secret: bytes) -> None:
    with pytest.raises(ValueError, match="expected a key file of"):
        KeyFile(secret)
    (tmp_path / "key").write_bytes(secret)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(ConfigError, match="expected a"):
        KeyFile.read(tmp_path / "key")


def test_a_key_file_is_read_from_its_owners_file_only(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(SECRET)
    key.chmod(0o600)
    assert KeyFile.read(key).secret == SECRET
    (tmp_path / "link").symlink_to(key)
    with pytest.raises(ConfigError):
        KeyFile.read(tmp_path / "link")
    with pytest.raises(ConfigError, match="No such file"):
        KeyFile.read(tmp_path / "nothing")
    key.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        KeyFile.read(key)


def test_a_new_key_file_opens_what_it_closed_and_overwrites_nothing(path: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    KeyStore.create(path, KeyFile.create(key, SeededRng(b"made")), SeededRng(b"new")).put("key", SECRET)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert reopen(path, KeyFile.read(key)).get("key") == SECRET
    before = key.read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        KeyFile.create(key, SeededRng(b"again"))
    assert key.read_bytes() == before


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(VetonetError):
        open_store(data, OPENERS["key-file"])


def test_contents_in_another_order_or_twice_are_refused() -> None:
    first, second = NamedSecret(name="a", secret=b"1"), NamedSecret(name="b", secret=b"2")
    for wrong in ((second, first), (first, first)):
        with pytest.raises(ValueError, match="in the order of their names"):
            Contents(secrets=wrong)
