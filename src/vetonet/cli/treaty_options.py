"""The options of ``vetonet treaty new`` as a plan; what no treaty can say is refused in their words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vetonet.attestation.platform import ATTESTER_KINDS
from vetonet.cli.exits import Failure
from vetonet.cli.parameters import parse_name
from vetonet.policy.plan import MAX_OWNER, TreatyPlan, compute_witnessing, split_maker
from vetonet.policy.totals import Totals
from vetonet.units import Flop, Milliseconds

MAX_PARTIES: Final = 64
"""More can stand in a treaty, but generating their keys on one machine takes minutes."""

DEFAULT_PARTIES: Final = 5
DEFAULT_NAME: Final = "Trial treaty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the options say, before it is known whether a treaty can say it."""

    name: str
    party_ids: tuple[str, ...]
    min_grants: int
    veto_ids: tuple[str, ...]
    is_minority: bool
    licensed_flop: Flop
    forbidden_flop: Flop | None
    operators: tuple[tuple[str, str | None], ...]
    makers: tuple[tuple[str, str | None], ...]
    max_colluding: int | None
    witness_quorum: int | None
    times: Mapping[str, Milliseconds]
    totals: Totals | None
    owners: tuple[tuple[str, str], ...]

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Flags:
        """Return what these options say, with what was left out chosen.

        Raises:
            Failure: they name the roster twice, too large, or a malformed operator.
        """
        parties, party_ids = options["parties"], options["party_ids"]
        if parties and party_ids:
            raise Failure("--parties and --party both name the roster; give one of them")
        size = max(parties or 0, len(party_ids))
        if size > MAX_PARTIES:
            why = "for more, generating the groups' keys on one machine takes minutes"
            raise Failure(f"--parties: expected at most {MAX_PARTIES}, got {size}; {why}")
        roster = party_ids or tuple(f"P{number}" for number in range(1, (parties or DEFAULT_PARTIES) + 1))
        return cls(
            name=options["name"] or DEFAULT_NAME,
            party_ids=roster,
            min_grants=options["min_grants"] or len(roster) // 2 + 1,
            veto_ids=options["veto_ids"],
            is_minority=options["is_minority"],
            licensed_flop=options["monitored_flop"],
            forbidden_flop=options["forbidden_flop"],
            operators=tuple(map(_parse_operator, options["operators"])) or (("op1", None),),
            makers=tuple(map(_parse_maker, options["makers"])) or (("maker1", None),),
            max_colluding=options["max_colluding"],
            witness_quorum=options["witness_quorum"],
            times={name: value for name, value in options.items() if name.endswith("_ms")},
            totals=None if options["totals"] is None else Totals(options["totals"]),
            owners=tuple(map(_parse_owner, options["owners"])),
        )

    def to_plan(self) -> TreatyPlan:
        """Return the plan that these options say.

        Raises:
            Failure: no treaty can say that; the message names the option.
        """
        self._require_possible()
        try:
            return TreatyPlan.of_threshold(
                name=self.name,
                party_ids=self.party_ids,
                min_grants=self.min_grants,
                veto_ids=self.veto_ids,
                is_minority=self.is_minority,
                licensed_flop=self.licensed_flop,
                forbidden_flop=self.forbidden_flop,
                operators=self.operators,
                maker_ids=tuple(name for name, _ in self.makers),
                attester_kinds=tuple((name, kind) for name, kind in self.makers if kind is not None),
                max_colluding=self.max_colluding,
                witness_quorum=self.witness_quorum,
                totals=self.totals,
                beneficial_owners=self.owners,
                **self.times,
            )
        except ValueError as error:
            raise Failure(f"no treaty can say that: {error}") from error

    def _require_possible(self) -> None:
        roster, operators = self.party_ids, tuple(name for name, _ in self.operators)
        named = {
            "--party": roster,
            "--veto": self.veto_ids,
            "--operator": operators,
            "--maker": tuple(name for name, _ in self.makers),
            "--owner": tuple(name for name, _ in self.owners),
        }
        for option, names in named.items():
            for name in names:
                if names.count(name) > 1:
                    raise Failure(f"{option}: expected each named once, got {name} {names.count(name)} times")
        lowest, size = 1 if self.is_minority else len(roster) // 2 + 1, len(roster)
        if not lowest <= self.min_grants <= size:
            hint = "; --minority allows half of them or fewer" if self.min_grants < lowest else ""
            expected = f"{lowest} to {size} of {count_parties(size)}"
            raise Failure(f"--min-grants: expected {expected}, got {self.min_grants}{hint}")
        for operator, _ in self.owners:
            if operator not in operators:
                known = ", ".join(operators)
                raise Failure(f"--owner: the treaty has no operator {operator}; it has {known}")
        self._require_witnessing()
        _require_roster(roster, "--veto", self.veto_ids)
        _require_roster(
            roster, "--operator", tuple(party for _, party in self.operators if party is not None)
        )

    def _require_witnessing(self) -> None:
        """Two quorums of witnesses share more than those that may collude (VN-3.4)."""
        count = len(self.party_ids)
        quorum, colluding = compute_witnessing(count, self.max_colluding, self.witness_quorum)
        if quorum <= count and 2 * quorum - count > colluding:
            return
        if self.witness_quorum is not None and quorum > count:
            raise Failure(
                f"--witness-quorum: expected at most the {count} witnesses, one of each party, got {quorum}"
            )
        if quorum > count:
            needed = f"it takes k = {quorum} of n = {count} witnesses to withstand f = {colluding}"
            raise Failure(f"--max-colluding: {needed}; expected 2k - n > f with k of at most n")
        shared = f"2 x {quorum} - {count} = {2 * quorum - count}, not above f = {colluding}"
        raise Failure(
            f"--witness-quorum: expected 2k - n > f, so that no f can vouch for two histories, got {shared}"
        )


def count_parties(count: int) -> str:
    """Return how many parties there are, in words."""
    return "1 party" if count == 1 else f"{count} parties"


def _require_roster(roster: tuple[str, ...], option: str, party_ids: tuple[str, ...]) -> None:
    for party_id in party_ids:
        if party_id not in roster:
            raise Failure(f"{option}: the treaty has no party {party_id}; it has {', '.join(roster)}")


def _parse_maker(text: str) -> tuple[str, str | None]:
    maker_id, kind = split_maker(text)
    try:
        name = parse_name(maker_id)
    except ValueError as error:
        raise Failure(f"--maker: expected NAME or NAME:KIND: {error}") from error
    if kind is not None and kind not in ATTESTER_KINDS:
        raise Failure(f"--maker: expected a kind of attester among {', '.join(ATTESTER_KINDS)}, got {kind!r}")
    return name, kind


def _parse_owner(text: str) -> tuple[str, str]:
    operator_id, colon, owner = text.partition(":")
    if not colon or not 1 <= len(owner) <= MAX_OWNER or not owner.isprintable():
        expected = f"NAME:OWNER, a printable owner of up to {MAX_OWNER} characters"
        raise Failure(f"--owner: expected {expected}, got {text[:80]!r}")
    return operator_id, owner


def _parse_operator(text: str) -> tuple[str, str | None]:
    operator_id, colon, party_id = text.partition(":")
    try:
        return parse_name(operator_id), parse_name(party_id) if colon else None
    except ValueError as error:
        raise Failure(f"--operator: expected NAME or NAME:PARTY: {error}") from error
