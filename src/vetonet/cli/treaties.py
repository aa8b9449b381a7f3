"""What a treaty looks like on the screen and in JSON, computed from its statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vetonet.cli.output import format_duration, print_line, print_table
from vetonet.cli.treaty_text import describe_quorum, describe_totals, list_quorum_clauses, name_totals
from vetonet.crypto.statement import Signed, compute_digest
from vetonet.policy.action import ActionClass
from vetonet.policy.band import Band
from vetonet.policy.plan import list_times
from vetonet.policy.quorum import Quorum
from vetonet.policy.treaty import Terms, Treaty
from vetonet.policy.witnessing import compute_overlap
from vetonet.tlog.cosignature import WitnessKey
from vetonet.tlog.policy import LogPolicy
from vetonet.units import Milliseconds, spell_flop


def describe_treaty(signed: Signed[Treaty]) -> dict[str, Any]:
    """Return a treaty as plain values, for JSON."""
    return {
        "treaty": signed.payload_digest.hex(),
        **_describe_terms(signed.statement),
        "groups": [
            {
                "index": group.index,
                "key_id": group.key.key_id.hex(),
                "min_signers": group.package.min_signers,
                "seats": list(group.leaf.seats),
            }
            for group in signed.statement.all_groups
        ],
    }


def describe_charter(terms: Terms) -> dict[str, Any]:
    """Return a charter as plain values, for JSON."""
    return {
        "charter": compute_digest(terms).hex(),
        **_describe_terms(terms),
        "thresholds": [{"min_grants": leaf.min_grants, "seats": list(leaf.seats)} for leaf in terms.leaves],
    }


def _describe_terms(terms: Terms) -> dict[str, Any]:
    return {
        "name": terms.name,
        "epoch": terms.epoch,
        "parties": [
            {
                "id": party.party_id,
                "key_id": party.key.key_id.hex(),
                "can_veto": party.party_id in terms.find_quorum(ActionClass.RUN_GRANT).veto_holders,
            }
            for party in terms.parties
        ],
        "quorum": describe_quorum(terms.find_quorum(ActionClass.RUN_GRANT), list_roster(terms)),
        "actions": {
            rule.action.value: describe_quorum(rule.quorum, list_roster(terms), (rule.action,))
            for rule in terms.actions
        },
        "bands": [{"name": b.name, "floor_flop": b.floor_flop, "rule": b.rule.value} for b in terms.bands],
        "operators": [
            {
                "id": o.operator_id,
                "key_id": o.key.key_id.hex(),
                "party": o.party_id,
                "beneficial_owner": o.beneficial_owner,
            }
            for o in terms.operators
        ],
        "makers": [
            {"id": e.endorser_id, "root_key_id": e.root_key.key_id.hex(), "attester_kind": e.attester_kind}
            for e in terms.endorsers
        ],
        **{f"{key.replace('-', '_')}_ms": duration for key, duration in list_times(terms).items()},
        "log_origin": terms.log_origin,
        "log_key_id": terms.log_key.key_id.hex(),
        "log_vkey": LogPolicy.under(terms).log_key.to_vkey(),
        "witnesses": [
            {"name": w.name, "party": w.party_id, "vkey": WitnessKey.of_ed25519(w.name, w.key).to_vkey()}
            for w in terms.witnesses
        ],
        "witness_quorum": terms.witness_quorum,
        "max_colluding": terms.max_colluding,
        "totals": name_totals(terms.totals),
        "witnessing": describe_witnessing(terms),
    }


def describe_witnessing(terms: Terms) -> str:
    """Return in one sentence what it takes before anybody relies on the log, and what that withstands."""
    count, quorum, colluding = len(terms.witnesses), terms.witness_quorum, terms.max_colluding
    overlap = compute_overlap(count, quorum)
    return (
        f"{quorum} of {count} witnesses must cosign the log (k of n); any two such quorums share "
        f"2k - n = {overlap}, more than the f = {colluding} that may collude: so a split view takes "
        f"{overlap} that do; {count - quorum} may be away"
    )


def list_roster(terms: Terms) -> tuple[str, ...]:
    """Return the parties' ids in order."""
    return tuple(party.party_id for party in terms.parties)


def print_times(times: Mapping[str, Milliseconds]) -> None:
    """Print every duration in one line, by its key in a treaty's file."""
    print_line(f"times: {', '.join(f'{key} {_spell_time(times[key])}' for key in times)}")


def _spell_time(duration: Milliseconds) -> str:
    return format_duration(duration) if duration else "none"


def print_actions(actions: Iterable[tuple[ActionClass, Quorum]], roster: tuple[str, ...]) -> None:
    """Print who decides what; classes with one and the same quorum stand together."""
    grouped: dict[Quorum, list[ActionClass]] = {}
    for action, quorum in actions:
        grouped.setdefault(quorum, []).append(action)
    for quorum, decided_so in grouped.items():
        print_line(f"{', '.join(decided_so)}:")
        for clause in list_quorum_clauses(quorum, roster, decided_so):
            print_line(f"  {clause}")
    decided = {action for decided_so in grouped.values() for action in decided_so}
    left = [action.value for action in ActionClass if action not in decided]
    print_line(f"nobody can decide, however many agree: {', '.join(left)}")


def print_treaty(signed: Signed[Treaty]) -> None:
    """Print a treaty in plain words."""
    terms = signed.statement
    print_line(f"{terms.name}, epoch {terms.epoch}")
    print_line(f"treaty {signed.payload_digest.hex()}")
    groups = [
        (
            f"group {group.index}",
            f"threshold key, {group.leaf.min_grants} of {group.leaf.seat_count}",
            group.key.key_id.hex()[:16],
        )
        for group in terms.all_groups
    ]
    _print_terms(terms, groups)


def print_charter(terms: Terms) -> None:
    """Print a charter in plain words."""
    print_line(f"{terms.name}, epoch {terms.epoch}: a charter, not founded yet")
    print_line(f"charter {compute_digest(terms).hex()}")
    groups = [
        (f"group {index}", f"{leaf.min_grants} of {leaf.seat_count}: {', '.join(leaf.seats)}", "none yet")
        for index, leaf in enumerate(terms.leaves)
    ]
    _print_terms(terms, groups)


def _print_terms(terms: Terms, groups: list[tuple[str, str, str]]) -> None:
    print_line()
    print_actions(((rule.action, rule.quorum) for rule in terms.actions), list_roster(terms))
    print_times(list_times(terms))
    print_line(describe_totals(terms.totals))
    print_line()
    ceilings = [spell_flop(band.floor_flop) for band in terms.bands[1:]] + ["no limit"]
    print_table(
        ("total of a run and its linked runs", "rule"), list(map(_to_band_row, terms.bands, ceilings))
    )
    print_line()
    print_table(("who", "role", "key"), [*_list_roles(terms), *groups])
    print_line()
    print_line(f"log {terms.log_origin}")
    print_line(describe_witnessing(terms))


def _to_band_row(band: Band, ceiling: str) -> tuple[str, str]:
    rules = {"free": "needs no licence", "licensed": "needs a licence", "forbidden": "nobody may license it"}
    span = f"{spell_flop(band.floor_flop)} FLOP up to {ceiling}"
    return span, rules[band.rule.value]


def describe_operator(party_id: str | None, owner: str | None) -> str:
    """Return in words what an operator is: whose, and who stands behind it."""
    belonging = "" if party_id is None else f" of {party_id}, which is recused"
    return f"operator{belonging}" + ("" if owner is None else f"; behind it {owner}")


def _list_roles(terms: Terms) -> list[tuple[str, str, str]]:
    holders = set(terms.find_quorum(ActionClass.RUN_GRANT).veto_holders)
    rows = [
        (p.party_id, "party, can veto" if p.party_id in holders else "party", p.key) for p in terms.parties
    ]
    rows += [
        (o.operator_id, describe_operator(o.party_id, o.beneficial_owner), o.key) for o in terms.operators
    ]
    rows += [(e.endorser_id, f"chip maker ({e.attester_kind})", e.root_key) for e in terms.endorsers]
    rows += [("coordinator", "log key", terms.log_key)]
    rows += [(w.party_id or w.name, "witness", w.key) for w in terms.witnesses]
    return [(name, role, key.key_id.hex()[:16]) for name, role, key in rows]
