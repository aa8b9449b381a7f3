"""A treaty as the TOML file that a researcher writes, read into a plan with every mistake found at once.

The format is described in docs/treaties.md; what a plan may say, vetonet.policy.plan decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from vetonet.errors import ConfigError
from vetonet.party.toml_reading import Document, Mistake, TooManyMistakesError
from vetonet.party.treaty_quorums import QuorumReading, read_word
from vetonet.policy.action import ActionClass
from vetonet.policy.band import Band, BandRule
from vetonet.policy.plan import (
    OWNER_KEY,
    Fault,
    Operators,
    PlanError,
    TreatyPlan,
    find_band_faults,
    find_class_faults,
    find_name_faults,
    find_owner_faults,
    find_time_faults,
    find_witness_faults,
    split_maker,
)
from vetonet.policy.quorum import Quorum
from vetonet.policy.totals import Totals
from vetonet.units import Milliseconds, parse_duration

KEYS: Final = (
    "name",
    "parties",
    "makers",
    "totals",
    "groups",
    "operator",
    "band",
    "times",
    "witnesses",
    "action",
)
REQUIRED_TIMES: Final = ("window", "signing", "report-interval", "report-grace", "lease")
OPTIONAL_TIMES: Final = ("suspension", "refresh")

_NO_TIME: Final = "0s"


class TreatyFileError(ConfigError):
    """A text is no treaty's file.

    Attributes:
        mistakes: every one, by line.
    """

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("; ".join(f"line {mistake}" for mistake in mistakes))
        self.mistakes: Final = mistakes


def read_treaty_text(text: str) -> TreatyPlan:
    """Return the plan that a treaty's file spells.

    Raises:
        TreatyFileError: it spells none; the error names every mistake with its line.
    """
    document, plan = Document(text), None
    with suppress(TooManyMistakesError):
        plan = None if document.mistakes else _Reading(document).read()
    if plan is None or document.mistakes:
        raise TreatyFileError(tuple(sorted(set(document.mistakes))))
    return plan


def list_mistakes(text: str) -> tuple[Mistake, ...]:
    """Return every mistake in a treaty's file, by line; none where it spells a plan."""
    try:
        read_treaty_text(text)
    except TreatyFileError as error:
        return error.mistakes
    return ()


class _Reading:
    """Reads one document, part by part; None stands for a part whose mistakes are noted already."""

    __slots__ = ("_document", "_root")

    def __init__(self, document: Document) -> None:
        self._document = document
        self._root = document.root

    def read(self) -> TreatyPlan | None:
        """Return the plan, or None where there are mistakes; all of them are noted."""
        document = self._document
        document.require_known(self._root, (), KEYS)
        name = document.take(self._root, (), "name", str)
        parties, named = self._read_names("parties"), self._read_names("makers")
        makers = None if named is None else tuple(split_maker(text)[0] for text in named)
        totals = read_word(document, self._root, (), "totals", Totals) if "totals" in self._root else None
        operators, owners, bands = self._read_operators(), self._read_owners(), self._read_bands()
        times, (quorum, colluding) = self._read_times(), self._read_witnesses()
        actions = self._read_actions(parties)
        if name is not None and parties is not None and operators is not None and makers is not None:
            self._refuse_all(find_name_faults(name, parties, operators, makers))
        self._refuse_all(find_owner_faults(operators or (), owners) if operators else ())
        self._refuse_all(find_band_faults(bands) if bands is not None else ())
        self._refuse_all(find_witness_faults(len(parties), colluding, quorum) if parties else ())
        if document.mistakes or name is None or not (parties and operators and makers and bands):
            return None
        try:
            return TreatyPlan(
                name=name,
                party_ids=parties,
                actions=tuple(actions.items()),
                bands=bands,
                operators=operators,
                maker_ids=makers,
                attester_kinds=_list_kinds(named or ()),
                max_colluding=colluding,
                witness_quorum=quorum,
                totals=totals,
                beneficial_owners=owners,
                **{f"{key.replace('-', '_')}_ms": duration for key, duration in times.items()},
            )
        except PlanError as error:
            self._refuse_all(error.faults)
            return None

    def _refuse_all(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self._document.refuse(fault.where, fault.reason)

    def _read_names(self, key: str) -> tuple[str, ...] | None:
        names = self._document.take(self._root, (), key, list)
        return None if names is None else self._document.read_list(names, (key,), str)

    def _read_tables(self, key: str) -> tuple[dict[str, Any], ...] | None:
        """Return the tables of an array of tables, such as ``[[band]]``."""
        if type(self._root.get(key)) is not list:
            self._document.refuse((key,), f"expected at least one [[{key}]]")
            return None
        return self._document.read_list(self._root[key], (key,), dict)

    def _read_table(self, key: str, *, is_required: bool) -> Mapping[str, Any]:
        if is_required:
            return self._document.take(self._root, (), key, dict) or {}
        return self._document.take_optional(self._root, (), key, dict) or {}

    def _read_operators(self) -> Operators | None:
        tables = self._read_tables("operator")
        operators = []
        for index, table in enumerate(tables or ()):
            path = ("operator", index)
            self._document.require_known(table, path, ("id", "party", OWNER_KEY))
            operator = self._document.take(table, path, "id", str)
            party = self._document.take_optional(table, path, "party", str)
            if operator is not None and (party is not None or "party" not in table):
                operators.append((operator, party))
        return tuple(operators) if tables is not None and len(operators) == len(tables) else None

    def _read_owners(self) -> tuple[tuple[str, str], ...]:
        """Return who stands behind operators, as far as it can be read."""
        tables = self._root.get("operator")
        owners = []
        for index, table in enumerate(tables if type(tables) is list else ()):
            operator = table.get("id") if type(table) is dict else None
            if type(operator) is str and OWNER_KEY in table:
                path = ("operator", index)
                owner = self._document.take_optional(table, path, OWNER_KEY, str)
                owners += [] if owner is None else [(operator, owner)]
        return tuple(owners)

    def _read_bands(self) -> tuple[Band, ...] | None:
        tables = self._read_tables("band")
        bands = []
        for index, table in enumerate(tables or ()):
            path = ("band", index)
            self._document.require_known(table, path, ("name", "from-flop", "rule"))
            name = self._document.take(table, path, "name", str)
            rule = read_word(self._document, table, path, "rule", BandRule)
            floor = self._read_floor(table, index)
            if name is not None and rule is not None and floor is not None:
                bands.append(Band(name=name, floor_flop=floor, rule=rule))
        return tuple(bands) if tables is not None and len(bands) == len(tables) else None

    def _read_floor(self, table: Mapping[str, Any], index: int) -> int | None:
        path = ("band", index)
        if "from-flop" not in table:
            self._document.refuse(path, f"expected the key 'from-flop' in band no. {index + 1}, a number")
            return None
        return self._document.read_whole(table["from-flop"], (*path, "from-flop"))

    def _read_times(self) -> dict[str, Milliseconds]:
        """Return the durations that could be read; the rules hold for these."""
        table = self._read_table("times", is_required=True)
        self._document.require_known(table, ("times",), (*REQUIRED_TIMES, *OPTIONAL_TIMES))
        is_there = "times" in self._root
        times = dict[str, Milliseconds]()
        for key in (*REQUIRED_TIMES, *OPTIONAL_TIMES):
            if key in table or (key in REQUIRED_TIMES and is_there):
                duration = self._read_duration(table, key)
                times |= {} if duration is None else {key: duration}
        classes = {action for action in ActionClass if action.value in self._read_action_tables()}
        implied = {"suspension": 0} if "suspension" not in table and is_there else {}
        self._refuse_all(find_time_faults(times | implied, classes))
        return times

    def _read_duration(self, table: Mapping[str, Any], key: str) -> Milliseconds | None:
        text = self._document.take(table, ("times",), key, str)
        if text is None or (text == _NO_TIME and key == "report-grace"):
            return None if text is None else 0
        try:
            return parse_duration(text)
        except ValueError as error:
            self._document.refuse(("times", key), str(error))
            return None

    def _read_witnesses(self) -> tuple[int | None, int | None]:
        """Return k and f, None for what is left out."""
        table = self._read_table("witnesses", is_required=False)
        self._document.require_known(table, ("witnesses",), ("quorum", "colluding"))
        numbers = []
        for key, lowest in (("quorum", 1), ("colluding", 0)):
            number = self._document.take_optional(table, ("witnesses",), key, int)
            if number is not None and number < lowest:
                self._document.refuse(("witnesses", key), f"expected {lowest} or more, got {number}")
                number = None
            numbers.append(number)
        return numbers[0], numbers[1]

    def _read_action_tables(self) -> Mapping[str, Any]:
        tables = self._root.get("action")
        return tables if isinstance(tables, dict) else {}

    def _read_actions(self, parties: tuple[str, ...] | None) -> dict[ActionClass, Quorum]:
        tables = self._read_table("action", is_required=True)
        reading = QuorumReading(self._document, parties)
        reading.read_groups(self._read_table("groups", is_required=False))
        if "action" in self._root:
            self._refuse_all(find_class_faults([action for action in ActionClass if action.value in tables]))
        return reading.read_actions({key: value for key, value in tables.items() if key != _IMPOSSIBLE})


_IMPOSSIBLE: Final = ActionClass.REMOVE_BASELINE.value


def _list_kinds(makers: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return what is said after the names of makers, as in ``NAME:KIND``."""
    split = map(split_maker, makers)
    return tuple((name, kind) for name, kind in split if kind is not None)
