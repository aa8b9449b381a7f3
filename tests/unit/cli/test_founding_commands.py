"""``party card``, ``treaty draft`` and ``party found``: what they write, and what they refuse in one line."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.command_line import Ended, call
from support.council import NAMES, draft, make_cards, spell_founding
from vetonet.crypto.statement import compute_digest
from vetonet.policy.treaty import Terms

NOWHERE = dict.fromkeys(NAMES, "127.0.0.1:1")


@dataclass(frozen=True, kw_only=True)
class Council:
    root: Path
    cards: list[Path]
    draft: Path

    @property
    def charter(self) -> Path:
        return self.draft / "parties" / "P1" / "charter.cbor"

    def found(self, *options: str, charter: Path | None = None, name: str = "P1") -> Ended:
        """Return how a founding ended that was given no peers but these options."""
        spelled = spell_founding(self.root, name, {name: "127.0.0.1:0"}, charter or self.charter)
        return call(*spelled, *options)


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Council:
    root = tmp_path_factory.mktemp("council")
    cards = make_cards(root)
    return Council(root=root, cards=cards, draft=draft(root, "draft", cards))


def refuse(ended: Ended, *words: str, code: int = 2) -> None:
    assert ended.code == code, ended
    assert len(ended.err.strip().splitlines()) == 1, ended.err
    for word in words:
        assert word in ended.err


def test_a_home_and_its_key_store_are_their_owners_alone(council: Council) -> None:
    home = council.root / "P1"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "keystore").stat().st_mode) == 0o600
    assert "PRIVATE" not in (home / "card.json").read_text(encoding="utf-8")


def test_a_card_is_not_made_where_something_is(council: Council) -> None:
    keys = ("--key-file", council.root / "P1.key")
    refuse(call("party", "card", council.root / "P1", "--party", "P1", *keys), "new or empty")


def test_the_charter_shows_its_digest_and_thresholds(council: Council) -> None:
    shown = call("treaty", "show", council.charter, "--json").value
    terms = Terms.from_bytes(council.charter.read_bytes())
    assert shown["charter"] == compute_digest(terms).hex()
    assert shown["thresholds"] == [
        {"min_grants": 3, "seats": ["P1", "P1", "P2", "P3"]},
        {"min_grants": 2, "seats": ["P3", "P4"]},
    ]
    said = call("treaty", "show", council.charter)
    assert "a charter, not founded yet" in said.out
    assert (shown["lease_ms"], shown["suspension_ms"], shown["refresh_ms"]) == (3_600_000, 0, 0)
    assert compute_digest(terms).hex() in said.out


def test_a_charter_and_its_plan_say_the_same_times(council: Council) -> None:
    expected = (
        "times: window 1 h, signing 30 s, report-interval 10 min, report-grace 5 min, lease 1 h, "
        "suspension none, refresh none"
    )
    for path in (council.charter, council.root / "draft.toml"):
        assert expected in call("treaty", "show", path).out.splitlines()


def test_a_floor_is_spelled_exactly_before_and_after_there_are_keys(council: Council, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    text = (council.root / "draft.toml").read_text(encoding="utf-8")
    plan.write_text(text.replace("from-flop = 1e24", "from-flop = 1.23456789e24"), encoding="utf-8")
    assert "from 1.23456789e24 FLOP on: licensed" in call("treaty", "show", plan).out
    assert call("treaty", "new", "--out", tmp_path / "trial", "--file", plan).code == 0
    assert "0 FLOP up to 1.23456789e24" in call("treaty", "show", tmp_path / "trial").out


def test_power_offers_no_class_that_nobody_can_decide(council: Council) -> None:
    ended = call("treaty", "power", council.root / "draft.toml", "--action", "nothing")
    assert ended.code == 2
    assert "roster-change" in ended.err
    assert "remove-baseline" not in ended.err


def test_every_party_is_handed_the_same_charter(council: Council) -> None:
    folders = [council.draft / "parties" / name for name in NAMES]
    copies = {(folder / "charter.cbor").read_bytes() for folder in (council.draft, *folders)}
    assert len(copies) == 1


@pytest.mark.parametrize(
    ("chosen", "word"),
    [
        pytest.param((0, 1, 2, 3), "one card of P5", id="missing"),
        pytest.param((0, 1, 2, 3, 4, 4), "one card of P5", id="twice"),
    ],
)
def test_a_draft_without_exactly_one_card_of_each_party_is_refused(
    council: Council, tmp_path: Path, chosen: tuple[int, ...], word: str
) -> None:
    options = [option for index in chosen for option in ("--card", str(council.cards[index]))]
    out = tmp_path / "out"
    refuse(call("treaty", "draft", "--file", council.root / "draft.toml", *options, "--out", out), word)
    assert not out.exists()


def test_a_strangers_card_is_refused(council: Council, tmp_path: Path) -> None:
    cards = [*council.cards, *make_cards(tmp_path, ("P6",))]
    options = [option for card in cards for option in ("--card", str(card))]
    plan = council.root / "draft.toml"
    refuse(call("treaty", "draft", "--file", plan, *options, "--out", tmp_path / "out"), "no party P6")


def test_a_file_that_is_no_card_is_refused(council: Council, tmp_path: Path) -> None:
    plan, other = council.root / "draft.toml", tmp_path / "card.json"
    other.write_text(json.dumps({"party": "P1"}), encoding="utf-8")
    ended = call("treaty", "draft", "--file", plan, "--card", other, "--out", tmp_path / "out")
    refuse(ended, "expected a card", code=4)


def test_a_founding_needs_the_address_of_each_other_party(council: Council) -> None:
    refuse(council.found("--peer", "P2=127.0.0.1:1"), "none of P3, P4, P5")


@pytest.mark.parametrize("peer", ["P1=127.0.0.1:1", "P9=127.0.0.1:1", "P2", "P2=nowhere"])
def test_a_peer_that_is_none_is_refused(council: Council, peer: str) -> None:
    refuse(council.found("--peer", peer), "--peer")


def test_a_home_whose_keys_the_charter_does_not_name_is_refused(council: Council, tmp_path: Path) -> None:
    other = draft(tmp_path, "other", make_cards(tmp_path))
    copied = tmp_path / "given"
    copied.mkdir()
    for name in ("tls-certificate.pem", "tls-authority.pem"):
        (copied / name).write_bytes((council.draft / "parties" / "P1" / name).read_bytes())
    (copied / "charter.cbor").write_bytes((other / "charter.cbor").read_bytes())
    refuse(council.found(charter=copied / "charter.cbor"), "another statement key for P1")


def test_a_certificate_of_another_home_is_refused(council: Council) -> None:
    charter = council.draft / "parties" / "P2" / "charter.cbor"
    refuse(council.found(charter=charter), "private key is not that of the certificate")


def test_a_file_that_is_no_charter_is_refused(council: Council) -> None:
    refuse(council.found(charter=council.root / "draft.toml"), "expected a charter", code=4)


def test_a_treaty_that_is_not_of_this_charter_ends_no_attempt(council: Council, tmp_path: Path) -> None:
    assert call("treaty", "new", "--out", tmp_path / "trial", "--parties", "3").code == 0
    peers = [f"--peer={name}={address}" for name, address in NOWHERE.items() if name != "P1"]
    ended = council.found(*peers, "--signed-treaty", str(tmp_path / "trial" / "treaty.cbor"))
    assert ended.code == 2
    assert "another charter" in ended.err


def test_a_party_alone_names_the_others_in_the_end(council: Council) -> None:
    peers = [f"--peer={name}={address}" for name, address in NOWHERE.items() if name != "P1"]
    ended = council.found(*peers, "--deadline", "1s", "--json")
    assert ended.code == 1
    assert "P2, P3, P4, P5" in ended.err
    assert not (council.root / "P1" / "treaty.cbor").exists()
