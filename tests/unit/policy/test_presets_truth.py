"""Every preset decides as its file says: held to an oracle that reads the file alone, and to the document."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from vetonet.party.preset import list_presets, read_preset
from vetonet.party.treaty_file import read_treaty_text
from vetonet.policy.action import ActionClass
from vetonet.policy.plan import TreatyPlan
from vetonet.policy.quorum import Choice, Decision

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "treaties.md"
ROW = re.compile(r"^\| ([a-z-]+) \| (.+?) \| (.+?) \| (.+?) \| (GRANTED|VETOED|EXPIRED) \|$", re.MULTILINE)
WORDS = ("grant", "veto", "abstain", None)
SAMPLES = 5_000
EXHAUSTIVE = 6

EVERY_CLASS = [
    (name, action) for name in list_presets() for action in tomllib.loads(read_preset(name))["action"]
]


@cache
def plan_of(name: str) -> TreatyPlan:
    return read_treaty_text(read_preset(name))


class Oracle:
    """The truth table of VN-4.4 over the TOML itself; it shares no code with the policy."""

    def __init__(self, text: str) -> None:
        self.file = tomllib.loads(text)

    def members(self, names: str | list[str]) -> list[str]:
        if isinstance(names, list):
            return names
        return list(self.file["parties"] if names == "parties" else self.file["groups"][names])

    def table(self, action: str) -> dict[str, Any]:
        table: dict[str, Any] = self.file["action"][action]
        return self.file["action"][table["same-as"]] if "same-as" in table else table

    def counts(self, node: Mapping[str, Any], granting: set[str]) -> bool:
        if "all-of" in node:
            return sum(self.counts(part, granting) for part in node["all-of"]) == len(node["all-of"])
        if "any-of" in node:
            return sum(self.counts(part, granting) for part in node["any-of"]) > 0
        seats: dict[str, int] = node.get("weights") or dict.fromkeys(self.members(node["of"]), 1)
        missing: int = node["threshold"] - sum(seats[name] for name in seats if name in granting)
        return missing <= 0

    def names(self, node: Mapping[str, Any]) -> set[str]:
        parts = node.get("all-of") or node.get("any-of")
        if parts:
            return set[str]().union(*(self.names(part) for part in parts))
        return set(node.get("weights") or self.members(node["of"]))

    def decide(self, action: str, votes: Mapping[str, str], recused: str | None = None) -> str:
        table = self.table(action)
        keyed, holders = self.members(table.get("key-veto", [])), self.members(table.get("veto", []))
        able = self.names(table["quorum"]) | set(keyed) | set(holders)
        votes = {who: what for who, what in votes.items() if who in able}
        if recused in votes and (table.get("recusal") == "ballots" or votes[recused] == "grant"):
            del votes[recused]
        vetoing = [who for who, what in votes.items() if what == "veto"]
        if any(who in holders for who in vetoing) or self.is_share_reached(table, votes, len(able)):
            return "vetoed"
        granting = {who for who, what in votes.items() if what == "grant"}
        is_met = self.counts(table["quorum"], granting) and all(who in granting for who in keyed)
        return "granted" if is_met and len(votes) >= table.get("min-ballots", 0) else "expired"

    def is_share_reached(self, table: Mapping[str, Any], votes: Mapping[str, str], size: int) -> bool:
        vetoes = sum(what == "veto" for what in votes.values())
        if "veto-share" not in table or not vetoes:
            return False
        decided = sum(what != "abstain" for what in votes.values())
        total = {"electorate": size, "cast": len(votes), "decided": decided}[table["veto-share"]["of"]]
        return Fraction(vetoes, total) >= Fraction(table["veto-share"]["at-least"])


def list_votes(parties: tuple[str, ...], seed: str) -> Iterator[dict[str, str]]:
    """All 4^n ways to vote of a small roster; of a larger one a sample, in which any mood can prevail."""
    if len(parties) <= EXHAUSTIVE:
        ways: Iterator[tuple[str | None, ...]] = product(WORDS, repeat=len(parties))
    else:
        rng = random.Random(seed)
        weights = [[rng.random() ** 3 for _ in WORDS] for _ in range(SAMPLES)]
        ways = (tuple(rng.choices(WORDS, w, k=len(parties))) for w in weights)
    for way in ways:
        yield {who: what for who, what in zip(parties, way, strict=True) if what is not None}


@pytest.mark.parametrize(("name", "action"), EVERY_CLASS)
def test_every_preset_decides_as_the_naive_oracle_does(name: str, action: str) -> None:
    # VN-4.4
    plan, oracle = plan_of(name), Oracle(read_preset(name))
    quorum = plan.find_quorum(ActionClass(action))
    assert quorum is not None
    rng, seen = random.Random(action), set[str]()
    for votes in list_votes(plan.party_ids, f"{name} {action}"):
        choices = {who: Choice(what) for who, what in votes.items()}
        for recused in (None, rng.choice(plan.party_ids)):
            struck = frozenset() if recused is None else frozenset({recused})
            decision = quorum.decide(choices, recused=struck, is_closed=True).value
            assert decision == oracle.decide(action, votes, recused), (votes, recused)
            seen.add(decision)
        assert quorum.decide(choices, is_closed=False) is Decision.PENDING
    assert {"granted", "expired"} <= seen


def read_rows() -> list[tuple[str, str, str, str, str, str]]:
    """Return every row of the truth tables: the preset, then the cells."""
    sections = re.split(r"^### `([a-z0-9-]+)`$", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    pairs = zip(sections[1::2], sections[2::2], strict=True)
    return [(name, *row) for name, section in pairs for row in ROW.findall(section)]


def read_cells(oracle: Oracle, cells: Mapping[str, str]) -> dict[str, str]:
    """Return the votes of a row: names and groups first, then the first so many of a group that are left."""
    votes: dict[str, str] = {}
    words = [(what, word) for what, cell in cells.items() if cell != "-" for word in cell.split(", ")]
    for what, word in sorted(words, key=lambda pair: " of " in pair[1]):
        count, of, group = word.rpartition(" of ")
        named = oracle.members(group) if of or word in {"parties", *oracle.file.get("groups", {})} else [word]
        free = [who for who in named if who not in votes]
        chosen = free[: int(count)] if of else named
        assert len(chosen) == (int(count) if of else len(free)), f"{word}: too few are left"
        votes |= dict.fromkeys(chosen, what)
    assert set(votes) <= set(oracle.file["parties"])
    return votes


@pytest.mark.parametrize("row", read_rows(), ids=" | ".join)
def test_every_row_of_the_documented_truth_tables_holds(row: tuple[str, ...]) -> None:
    name, action, grant, veto, abstain, expected = row
    oracle = Oracle(read_preset(name))
    votes = read_cells(oracle, {"grant": grant, "veto": veto, "abstain": abstain})
    quorum = plan_of(name).find_quorum(ActionClass(action))
    assert quorum is not None
    choices = {who: Choice(what) for who, what in votes.items()}
    assert quorum.decide(choices, is_closed=True).name == expected
    assert oracle.decide(action, votes) == expected.lower()


def test_the_documents_show_a_yes_and_a_no_of_every_class_of_every_preset() -> None:
    for outcomes in ({"GRANTED"}, {"EXPIRED", "VETOED"}):
        shown = {(name, action) for name, action, *_, decision in read_rows() if decision in outcomes}
        assert shown == set(EVERY_CLASS)


@pytest.mark.parametrize("name", list_presets())
def test_every_preset_says_where_it_comes_from_and_what_is_our_reading(name: str) -> None:
    head = read_preset(name).split("\nname = ")[0]
    assert all(line.startswith("#") for line in head.strip().splitlines())
    assert re.search(r"^# Source: ", head, re.MULTILINE)
    assert re.search(r"^# Modelled: ", head, re.MULTILINE)
    assert re.search(r"^# Our reading:", head, re.MULTILINE)


def test_the_five_presets_are_there() -> None:
    assert list_presets() == ("council-of-fifteen", "eu-ai-act", "miri", "rfd-025", "unanimity")


@pytest.mark.parametrize(
    ("action", "threshold", "size"),
    [
        (ActionClass.SECURITY_PATCH, 2, 5),
        (ActionClass.NEW_GUARANTEE, 4, 7),
        (ActionClass.AMEND_RULES, 6, 7),
    ],
)
def test_the_update_classes_of_rfd_025_have_its_numbers(
    action: ActionClass, threshold: int, size: int
) -> None:
    # RFD 025 (FlexHEG, 2024-11-27), "Update Types & Authorization".
    quorum = plan_of("rfd-025").find_quorum(action)
    assert quorum is not None
    (leaf,) = quorum.leaves
    assert (leaf.min_grants, leaf.seat_count) == (threshold, size)
    assert plan_of("rfd-025").find_quorum(ActionClass.REMOVE_BASELINE) is None


@pytest.mark.parametrize(("name", "floors"), [("miri", [0, 10**22, 10**24]), ("eu-ai-act", [0, 10**25])])
def test_bands_begin_exactly_where_their_source_says(name: str, floors: list[int]) -> None:
    # arXiv 2511.10783 App. A; Regulation (EU) 2024/1689 Article 51(2).
    assert [band.floor_flop for band in plan_of(name).bands] == floors


@pytest.mark.parametrize(
    "text", re.findall(r"^```toml\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
)
def test_the_documented_example_is_a_treaty(text: str) -> None:
    assert read_treaty_text(text).party_ids == ("Alfa", "Bravo", "Cito")
