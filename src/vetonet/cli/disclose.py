"""``vetonet disclose``: an operator shows one private field of a run, or sees what it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vetonet.cli.exits import Failure
from vetonet.cli.output import examples, json_option, print_json, print_line, print_table
from vetonet.cli.parameters import show
from vetonet.cli.present import read_view
from vetonet.cli.session import connect, directory_option, insecure_option, run_async, server_option
from vetonet.cli.specification import find_specification, load_specification
from vetonet.units import format_time

if TYPE_CHECKING:
    from vetonet.cli.directory import Member
    from vetonet.policy.disclosure import DisclosureAnswer
    from vetonet.policy.specification import FieldOpening, Specification
    from vetonet.voting.inspections import Disclosure
    from vetonet.voting.ledger import Ledger


@click.command(
    epilog=examples(
        "vetonet disclose --dir trial --operator op1",
        "vetonet disclose 9c41 --dir trial --operator op1",
    )
)
@click.argument("challenge", required=False)
@directory_option
@click.option("--operator", "operator_id", required=True, help="Who answers, as the treaty names it.")
@click.option(
    "--specification",
    type=click.Path(path_type=Path),
    help="The private file of the run.  [default: as `vetonet propose` kept it]",
)
@click.option(
    "--show-other",
    is_flag=True,
    help="Where another field has the place of the one that is asked for, make that one public.",
)
@server_option
@insecure_option
@json_option
def disclose(
    *,
    challenge: str | None,
    directory: Path,
    operator_id: str,
    specification: Path | None,
    server: str,
    insecure_loopback: bool,
    show_other: bool,
    as_json: bool,
) -> None:
    """Show, as an operator, the field that CHALLENGE asks for; without CHALLENGE, list what is asked for.

    What is shown stands in the log, and so anybody who reads the log has it from then on.
    """
    from vetonet.cli.directory import folder_of, load_operator
    from vetonet.wire.identity import Role

    member = load_operator(directory, operator_id)
    if challenge is None:
        found = run_async(lambda: _list(member, server, is_insecure=insecure_loopback))
        _print_open(found, as_json=as_json)
        return
    folder = folder_of(directory, Role.OPERATOR, operator_id)

    def load(digest: bytes) -> Specification:
        return load_specification(specification or find_specification(folder, digest))

    answer, leaf_index = run_async(
        lambda: _answer(
            member, server, challenge, load, is_other_shown=show_other, is_insecure=insecure_loopback
        )
    )
    name, is_there = answer.opening.name, answer.opening.value is not None
    if as_json:
        shown = {"operator": operator_id, "challenge": answer.challenge_digest.hex(), "field": name}
        print_json({**shown, "is_there": is_there, "leaf_index": leaf_index})
        return
    said = "is public from now on" if is_there else "is shown not to be there"
    print_line(f"field {name} {said}: leaf {leaf_index} of the log")


async def _list(member: Member, address: str, *, is_insecure: bool) -> dict[bytes, Disclosure]:
    async with connect(member, address, is_insecure=is_insecure) as client:
        view = await read_view(client, member.treaty)
        return _find_open(view.ledger, member.name)


async def _answer(
    member: Member,
    address: str,
    prefix: str,
    load: Callable[[bytes], Specification],
    *,
    is_other_shown: bool,
    is_insecure: bool,
) -> tuple[DisclosureAnswer, int]:
    """Return the answer as logged, and where."""
    from vetonet.crypto.statement import sign

    async with connect(member, address, is_insecure=is_insecure) as client:
        view = await read_view(client, member.treaty)
        digest, asked = _pick(prefix, _find_open(view.ledger, member.name))
        kept = load(asked.challenge.statement.proposal_digest)
        opening = _open(kept, asked, is_other_shown=is_other_shown)
        answer = _draw_up(member, view.ledger, digest, opening)
        (proof,) = await client.append_statements([sign(answer, member.key)])
        return answer, proof.leaf_index


def _open(kept: Specification, asked: Disclosure, *, is_other_shown: bool) -> FieldOpening:
    """Return what shows the field that is asked for, and another one only if its operator wants that."""
    if kept.root != asked.proposal.specification_digest:
        raise Failure("--specification: the private file of another run")
    name = asked.challenge.statement.field
    opening = kept.open_place(name)
    if opening.name != name and not is_other_shown:
        # Which one it is stays out of errors: a name may give away as much as a value.
        msg = f"there is no field {show(name)}, and only another one, which has its place, shows that"
        raise Failure(f"{msg}; --show-other makes that one public", reason="refused")
    return opening


def _draw_up(member: Member, ledger: Ledger, digest: bytes, opening: FieldOpening) -> DisclosureAnswer:
    from vetonet.policy.disclosure import DisclosureAnswer

    return DisclosureAnswer(
        treaty_digest=ledger.treaty.payload_digest,
        epoch=ledger.treaty.statement.epoch,
        operator_id=member.name,
        challenge_digest=digest,
        opening=opening,
    )


def _find_open(ledger: Ledger, operator_id: str) -> dict[bytes, Disclosure]:
    """Return what an operator was asked for and did not answer, by the digest of the challenge."""
    return {
        digest: asked
        for digest, asked in ledger.inspections.disclosures.items()
        if asked.answer is None and asked.proposal.operator_id == operator_id
    }


def _pick(prefix: str, found: dict[bytes, Disclosure]) -> tuple[bytes, Disclosure]:
    matching = [pair for pair in found.items() if prefix and pair[0].hex().startswith(prefix.lower())]
    if len(matching) != 1:
        several = f"{len(matching)} open challenges begin" if matching else "no open challenge begins"
        raise Failure(f"{several} with {show(prefix)}; `vetonet disclose` without one lists them")
    return matching[0]


def _print_open(found: dict[bytes, Disclosure], *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {
            "digest": digest.hex(),
            "proposal": asked.challenge.statement.proposal_digest.hex(),
            "field": asked.challenge.statement.field,
            "party": asked.challenge.statement.challenger,
            "deadline_ms": asked.challenge.statement.deadline_ms,
        }
        for digest, asked in found.items()
    ]
    if as_json:
        print_json({"challenges": rows})
    elif not rows:
        print_line("nothing is asked for")
    else:
        spelled = [
            (
                row["digest"][:16],
                row["proposal"][:16],
                row["field"],
                row["party"],
                format_time(row["deadline_ms"]),
            )
            for row in rows
        ]
        print_table(("challenge", "run", "field", "asked by", "due"), spelled)
