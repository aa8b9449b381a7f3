"""``vetonet propose``: an operator declares a large run before it starts."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_text_input
from vetonet.cli.output import (
    examples,
    format_duration,
    format_flop,
    json_option,
    print_json,
    print_line,
    print_table,
    spell_command,
    warn,
)
from vetonet.cli.parameters import COUNT, DURATION, FLOP, TIME, show
from vetonet.cli.session import (
    connect,
    directory_option,
    insecure_option,
    list_licensed,
    read_clock,
    run_async,
    server_option,
)
from vetonet.units import MS_PER_S, Flop, Milliseconds, Precision, WorkloadClass, format_time

if TYPE_CHECKING:
    from vetonet.attester.models import ChipModel
    from vetonet.cli.directory import Member
    from vetonet.crypto.statement import Signed
    from vetonet.party.views import ProposalView
    from vetonet.policy.proposal import Proposal
    from vetonet.policy.specification import Specification
    from vetonet.policy.treaty import Treaty

MAX_CHIPS: Final = 2**20
UEID_HEX_CHARS: Final = 66
DIGEST_HEX_CHARS: Final = 64
SERIAL_BYTES: Final = 16


@click.command(
    epilog=examples(
        "vetonet propose --dir trial --operator op1 --total-flop 5.5e21 --chips 512 --duration 4h",
        "vetonet propose --dir trial --operator op1 --total-flop 1e22 --device-set chips.txt --duration 9h",
    ),
)
@directory_option
@click.option("--operator", "operator_id", required=True, help="Who proposes, as the treaty names it.")
@server_option
@click.option("--total-flop", required=True, type=FLOP, help="Ceiling of the whole run: 5.5e21.")
@click.option("--per-device-flop", type=FLOP, help="Ceiling of each chip.  [default: an even share]")
@click.option(
    "--offline-units",
    type=COUNT,
    help="Ceiling of each chip in units of 1e18 FLOP, in place of --per-device-flop: for chips offline.",
)
@click.option("--chips", type=COUNT, help="How many chips, made up for a trial; or give --device-set.")
@click.option(
    "--device-set", type=click.Path(path_type=Path), help="The chips: a text file, one ueid in hex per line."
)
@click.option(
    "--chip-model",
    help="Say whether chips of this model could do it at all: H100.  [default: the fastest known]",
)
@click.option(
    "--duration", "duration_ms", required=True, type=DURATION, help="How long the run may take: 4h."
)
@click.option(
    "--start", "starts_ms", type=TIME, help="When the run may start.  [default: once the vote is signed]"
)
@click.option(
    "--window", "window_ms", type=DURATION, help="How long the vote is open.  [default: as long as may be]"
)
@click.option(
    "--precision", type=click.Choice([p.value for p in Precision]), default="bf16", show_default=True
)
@click.option(
    "--workload", type=click.Choice([w.value for w in WorkloadClass]), default="training", show_default=True
)
@click.option("--owner", help="Whose runs count together.  [default: the operator]")
@click.option(
    "--parent", "parents", multiple=True, metavar="DIGEST", help="A run that this one continues; repeat."
)
@click.option(
    "--treaty",
    "treaty_paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A treaty that followed the one in --dir; repeat, the one in force last.",
)
@click.option(
    "--specification",
    type=click.Path(path_type=Path),
    help='A file of private fields: data = "..." (TOML); only a digest of them is sent.',
)
@insecure_option
@json_option
def propose(
    directory: Path, operator_id: str, server: str, *, insecure_loopback: bool, as_json: bool, **options: Any
) -> None:
    """Propose a large run; its vote is open as soon as this command returns."""
    from vetonet.cli.directory import load_operator

    founded, later = load_operator(directory, operator_id), _read_later(options.pop("treaty_paths"))
    member = replace(founded, treaty=later[-1]) if later else founded
    chip_model = options.pop("chip_model")
    options["per_device_flop"] = _choose_share(options["per_device_flop"], options.pop("offline_units"))
    specification = _draw_up_specification(options.pop("specification"), options["parents"])
    proposal = _draw_up(member, specification_digest=specification.root, **options)
    chip = _choose_chip(proposal.precision, chip_model)
    _warn_if_impossible(proposal, chip, is_named=chip_model is not None)
    known = (founded.treaty, *later)
    kept = _keep(specification, directory, proposal)
    view, licensed = run_async(lambda: _send(member, server, proposal, known, is_insecure=insecure_loopback))
    limit: dict[str, str | Flop] = {"chip": chip.name, "per_device_flop": _compute_limit(proposal, chip)}
    _print_view(view, member, licensed, limit=limit, kept=kept, as_json=as_json)


def _read_later(paths: tuple[Path, ...]) -> tuple[Signed[Treaty], ...]:
    """Return the treaties in these files; which is in force, the coordinator says.

    Raises:
        Failure: one is unreadable, or no treaty.
    """
    from vetonet.cli.directory import read_treaty_file

    return tuple(map(read_treaty_file, paths))


def _draw_up(
    member: Member,
    *,
    total_flop: Flop,
    per_device_flop: Flop | None,
    chips: int | None,
    device_set: Path | None,
    duration_ms: Milliseconds,
    starts_ms: Milliseconds | None,
    window_ms: Milliseconds | None,
    precision: str,
    workload: str,
    owner: str | None,
    parents: tuple[str, ...],
    specification_digest: bytes,
) -> Proposal:
    from vetonet.compliance.bundle import DeviceSet
    from vetonet.policy.lease import compute_lease_flop
    from vetonet.policy.proposal import Proposal

    terms, serial = member.treaty.statement, secrets.token_bytes(SERIAL_BYTES)
    devices = DeviceSet(ueids=_choose_devices(chips, device_set, serial))
    opens_ms, closes_ms, begins_ms = _schedule(terms, window_ms, starts_ms)
    share = per_device_flop or -(-total_flop // len(devices.ueids))
    _require_ceilings(total_flop, share, len(devices.ueids))
    try:
        return Proposal(
            treaty_digest=member.treaty.payload_digest,
            epoch=terms.epoch,
            operator_id=member.name,
            beneficial_owner=owner or member.name,
            workload=WorkloadClass(workload),
            precision=Precision(precision),
            total_flop=total_flop,
            per_device_flop=share,
            lease_flop=compute_lease_flop(share, duration_ms, terms.lease_ms),
            device_set_root=devices.root_hash,
            device_count=len(devices.ueids),
            opens_ms=opens_ms,
            closes_ms=closes_ms,
            starts_ms=begins_ms,
            ends_ms=_round_up(begins_ms + duration_ms),
            specification_digest=specification_digest,
            lineage=tuple(map(_parse_digest, parents)),
            serial=serial,
        )
    except ValueError as error:
        raise Failure(
            f"no proposal can say that: {error}; see --window, --start and --per-device-flop"
        ) from error


def _schedule(
    terms: Treaty, window_ms: Milliseconds | None, starts_ms: Milliseconds | None
) -> tuple[Milliseconds, Milliseconds, Milliseconds]:
    """Return when the vote opens, when it closes and when the run may begin."""
    longest, opens_ms = terms.window_ms, read_clock()
    if window_ms is not None and window_ms > longest:
        allowed, got = format_duration(longest), format_duration(window_ms)
        raise Failure(f"--window: the treaty allows at most {allowed}, got {got}")
    closes_ms = _round_down(opens_ms + (window_ms or longest))
    begins_ms = _round_up(starts_ms or closes_ms + terms.signing_ms)
    if begins_ms < closes_ms:
        closes, begins = format_time(closes_ms), format_time(begins_ms)
        raise Failure(f"--start: the run cannot start before its vote closes ({closes}), got {begins}")
    return opens_ms, closes_ms, begins_ms


def _choose_share(per_device_flop: Flop | None, offline_units: int | None) -> Flop | None:
    """Return the ceiling of each chip that the user gave, in whatever unit, or None."""
    from vetonet.policy.proposal import OFFLINE_UNIT_FLOP

    if per_device_flop is not None and offline_units is not None:
        raise Failure("expected --per-device-flop or --offline-units, not both")
    return per_device_flop if offline_units is None else offline_units * OFFLINE_UNIT_FLOP


def _require_ceilings(total_flop: Flop, per_device_flop: Flop, chips: int) -> None:
    """Each chip may do no more than the whole run, and all of them together can do all of it."""
    if not per_device_flop <= total_flop <= per_device_flop * chips:
        together = f"{chips} x {format_flop(per_device_flop)} = {format_flop(per_device_flop * chips)}"
        expected = "each chip's ceiling to be at most the run's, and all chips' together at least that"
        raise Failure(
            f"--per-device-flop: expected {expected}; the run's is {format_flop(total_flop)}, got {together}"
        )


def _choose_devices(chips: int | None, path: Path | None, serial: bytes) -> tuple[bytes, ...]:
    """Return the ueids of the chips, sorted."""
    if (chips is None) == (path is None):
        raise Failure("expected either --chips or --device-set, to say which chips the run is for")
    if path is not None:
        return _read_device_set(path)
    if chips is None or chips > MAX_CHIPS:
        raise Failure(f"--chips: expected at most {MAX_CHIPS} chips, got {chips}")
    warn(
        f"the {chips} chips are made up: none will ever run under this licence; --device-set names real ones"
    )
    numbered = (
        hashlib.sha256(b"vetonet synthetic chip" + serial + index.to_bytes(8, "big"))
        for index in range(chips)
    )
    return tuple(sorted(b"\x01" + hashed.digest() for hashed in numbered))


def _read_device_set(path: Path) -> tuple[bytes, ...]:
    text = read_text_input(path, "a list of chips")
    ueids = [
        _parse_ueid(line.strip(), path, number)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]
    if not 0 < len(set(ueids)) == len(ueids) <= MAX_CHIPS:
        raise Failure(
            f"{path}: expected 1 to {MAX_CHIPS} chips, each once, got {len(ueids)} lines",
            code=Exit.INVALID,
            reason="input",
        )
    return tuple(sorted(ueids))


def _parse_ueid(text: str, path: Path, line: int) -> bytes:
    try:
        ueid = bytes.fromhex(text) if len(text) == UEID_HEX_CHARS else b""
    except ValueError:
        ueid = b""
    if not ueid:
        message = f"{path}:{line}: expected a ueid of {UEID_HEX_CHARS} hexadecimal digits, got {show(text)}"
        raise Failure(message, code=Exit.INVALID, reason="input")
    return ueid


def _parse_digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text) if len(text) == DIGEST_HEX_CHARS else b""
    except ValueError:
        digest = b""
    if not digest:
        raise Failure(
            f"--parent: expected a digest of {DIGEST_HEX_CHARS} hexadecimal digits, got {show(text)}"
        )
    return digest


def _draw_up_specification(path: Path | None, parents: tuple[str, ...]) -> Specification:
    from vetonet.cli.specification import draw_up_specification

    return draw_up_specification(path, [_parse_digest(parent) for parent in parents])


def _keep(specification: Specification, directory: Path, proposal: Proposal) -> Path:
    """Return where the operator keeps what it may have to show: on the disk before anything is sent."""
    from vetonet.cli.directory import folder_of
    from vetonet.cli.specification import write_specification
    from vetonet.crypto.statement import compute_digest
    from vetonet.wire.identity import Role

    folder = folder_of(directory, Role.OPERATOR, proposal.operator_id)
    return write_specification(specification, folder, compute_digest(proposal))


def _round_down(time_ms: Milliseconds) -> Milliseconds:
    """A licence states whole seconds (RFC 8392 section 2)."""
    return time_ms - time_ms % MS_PER_S


def _round_up(time_ms: Milliseconds) -> Milliseconds:
    return -(-time_ms // MS_PER_S) * MS_PER_S


def _choose_chip(precision: Precision, chip_model: str | None) -> ChipModel:
    """Return the model that the user named, or else the fastest that is known at this precision."""
    from vetonet.attester.models import CHIP_MODELS, find_chip_model

    if chip_model:
        return find_chip_model(chip_model)
    able = (known for known in CHIP_MODELS if precision in known.precisions)
    return max(able, key=lambda known: known.peak_at(precision))


def _compute_limit(proposal: Proposal, chip: ChipModel) -> Flop:
    """Return what one chip of a model can do at most while the run may last."""
    return chip.peak_at(proposal.precision) * (proposal.ends_ms - proposal.starts_ms) // MS_PER_S


def _warn_if_impossible(proposal: Proposal, chip: ChipModel, *, is_named: bool) -> None:
    each, count = _compute_limit(proposal, chip), proposal.device_count
    if proposal.per_device_flop <= each and proposal.total_flop <= each * count:
        return
    which = "" if is_named else ", the fastest chip known here,"
    asked = f"{format_flop(proposal.per_device_flop)} each, {format_flop(proposal.total_flop)} in all"
    warn(
        f"{count} x {chip.name}{which} cannot do that in "
        f"{format_duration(proposal.ends_ms - proposal.starts_ms)}: their peak at {proposal.precision} "
        f"allows {format_flop(each)} FLOP each, {format_flop(each * count)} in all; asked for are {asked}"
    )


async def _send(
    member: Member,
    address: str,
    proposal: Proposal,
    known: tuple[Signed[Treaty], ...],
    *,
    is_insecure: bool,
) -> tuple[ProposalView, Mapping[bytes, Proposal]]:
    """Return the proposal as logged, and the runs that were licensed before."""
    from vetonet.crypto.statement import sign

    async with connect(member, address, is_insecure=is_insecure) as client:
        for treaty in known:
            client.adopt(treaty)
        view = await client.create_proposal(sign(proposal, member.key))
        return view, await list_licensed(client)


def _print_view(
    view: ProposalView,
    member: Member,
    licensed: Mapping[bytes, Proposal],
    *,
    limit: Mapping[str, str | Flop],
    kept: Path,
    as_json: bool,
) -> None:
    from vetonet.cli.proposals import describe_proposal, list_rows

    described = describe_proposal(view.proposal, member.treaty.statement, licensed)
    if described["band"] == member.treaty.statement.bands[0].name:
        warn("a run of this size needs no licence under this treaty; the vote is open all the same")
    if as_json:
        shown = {"leaf_index": view.leaf_index, "phase": view.phase.value, "limit": limit}
        print_json({**described, **shown, "specification_file": str(kept)})
        return
    print_line(f"proposed {view.name}, leaf {view.leaf_index} of the log")
    print_table(("", ""), list_rows(described, read_clock()))
    print_line()
    print_line(f"private, for {member.name} alone, and needed to answer challenges: {kept}")
    voting = f"{spell_command()} vote grant|veto|abstain {view.name} --dir DIR --party ID"
    print_line(f"next, as a party: {voting}")
