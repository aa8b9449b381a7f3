"""``vetonet move``: a party asks the others to decide what is no run: suspensions, treaties, firmware."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import read_input
from vetonet.cli.output import examples, json_option, print_json, print_line, spell_command, warn
from vetonet.cli.parameters import DURATION, show
from vetonet.cli.present import read_view
from vetonet.cli.session import (
    connect,
    insecure_option,
    parse_prefix,
    pick,
    read_clock,
    run_async,
    server_option,
)
from vetonet.cli.speaker import find_home, speaker_options
from vetonet.errors import VetonetError
from vetonet.units import MS_PER_HOUR, MS_PER_S, Milliseconds, format_time

if TYPE_CHECKING:
    from vetonet.attestation.reference_values import ReferenceValues
    from vetonet.cli.directory import Member
    from vetonet.party.logview import LogView
    from vetonet.party.views import ProposalView
    from vetonet.policy.motion import Motion
    from vetonet.voting.ledger import Ledger

APPROVING: Final = ("security-patch", "new-guarantee")
"""What approves the reference values of other firmware; they say themselves which of the two it takes."""

CLASSES: Final = (
    *("emergency-suspension", "suspension-confirmation", "amend-rules", "roster-change"),
    *APPROVING,
)
"""What can be moved here, known without importing what motions are made of."""

DIGEST_CHARS: Final = 64
SERIAL_BYTES: Final = 16
LASTING_MS: Final = 24 * MS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What the user asked for."""

    action: str
    subject: str
    window_ms: Milliseconds | None
    lasting_ms: Milliseconds | None
    text: str | None


@click.command(
    epilog=examples(
        "vetonet move emergency-suspension --subject 5f0e --dir trial --party P1 --text 'chips were moved'",
        "vetonet move roster-change --subject p1/successor-2-5f0e.cbor --home p1 --key-file p1.key",
        "vetonet move security-patch --subject reference-2.cose --home p1 --key-file p1.key",
    )
)
@click.argument("action", metavar="CLASS", type=click.Choice(CLASSES))
@click.option(
    "--subject",
    required=True,
    help="What it is about: a licensed run's proposal; file or digest of a treaty or of reference values.",
)
@click.option(
    "--window", "window_ms", type=DURATION, help="How long the vote is open.  [default: as long as may be]"
)
@click.option(
    "--lasting",
    "lasting_ms",
    type=DURATION,
    help="How long after the vote what is decided holds.  [default: 1d, a suspension as long as may be]",
)
@click.option("--text", help="Why, for people.")
@speaker_options
@server_option
@insecure_option
@json_option
def move(*, action: str, subject: str, as_json: bool, **options: Any) -> None:
    """Move, as a party, that the others decide CLASS; the vote is open as soon as this command returns.

    CLASS is emergency-suspension, suspension-confirmation, amend-rules or roster-change; or security-patch or
    new-guarantee, for firmware whose reference values their maker signed as such. The party's own ballot is
    not part of it: its daemon gives that by its rules, or `vetonet vote` does.
    """
    wish = _Wish(
        action=action,
        subject=subject,
        window_ms=options["window_ms"],
        lasting_ms=options["lasting_ms"],
        text=options["text"],
    )
    member, address = find_member(options)
    is_insecure = options["insecure_loopback"]
    view = run_async(lambda: _send(member, address, wish, is_insecure=is_insecure))
    closes = format_time(view.matter.statement.closes_ms)
    if as_json:
        digest = view.matter.payload_digest.hex()
        shown = {"party": member.name, "name": view.name, "digest": digest, "action": action}
        print_json({**shown, "leaf_index": view.leaf_index, "phase": view.phase.value})
        return
    print_line(f"moved {view.name}, leaf {view.leaf_index} of the log; the vote closes at {closes}")
    speaker = "--dir DIR --party ID" if options["directory"] is not None else "--home HOME"
    print_line(f"next, as each party: {spell_command()} vote grant|veto|abstain {view.name} {speaker}")


def find_member(options: dict[str, Any]) -> tuple[Member, str]:
    """Return who moves, and where the coordinator is.

    Raises:
        Failure, ConfigError: nobody, or its files are not usable.
    """
    from vetonet.cli.directory import load_party
    from vetonet.cli.party_home import enter, to_member

    chosen = find_home(options)
    if chosen is None:
        return load_party(options["directory"], options["party_id"]), options["server"]
    home = enter(chosen.home, chosen.passphrase_file, chosen.key_file)
    return to_member(home), home.settings.coordinator


async def _send(member: Member, address: str, wish: _Wish, *, is_insecure: bool) -> ProposalView:
    """Return the motion as logged; who moves needs no memory, as nothing is wrong with moving twice."""
    from vetonet.crypto.statement import sign

    async with connect(member, address, is_insecure=is_insecure) as client:
        view = await read_view(client, member.treaty)
        motion = _draw_up(member, view.ledger, wish)
        _look_up_firmware(view, motion)
        return await client.create_proposal(sign(motion, member.key))


def _look_up_firmware(view: LogView, motion: Motion) -> None:
    """Who moves hears it where the log does not hold, or not yet, the firmware that is to be approved.

    Raises:
        Failure: its maker signed it for the other class of action.
    """
    from vetonet.cli.references import NOT_LOGGED, find_reference

    if motion.action not in APPROVING:
        return
    values = find_reference(view, motion.subject_digest)
    if values is None:
        warn(f"{NOT_LOGGED} (yet); a resolution before them approves nothing")
    else:
        _require_purpose("--subject", values, motion.action)


def _draw_up(member: Member, ledger: Ledger, wish: _Wish) -> Motion:
    from vetonet.policy.action import ActionClass
    from vetonet.policy.motion import Motion

    terms, opens_ms, action = ledger.treaty.statement, read_clock(), ActionClass(wish.action)
    closes_ms = (opens_ms + (wish.window_ms or terms.window_ms)) // MS_PER_S * MS_PER_S
    is_emergency = action is ActionClass.EMERGENCY_SUSPENSION
    lasting_ms = wish.lasting_ms or (terms.suspension_ms if is_emergency else LASTING_MS)
    subject = _find_subject(ledger, wish)
    try:
        return Motion(
            treaty_digest=ledger.treaty.payload_digest,
            epoch=terms.epoch,
            mover=member.name,
            action=action,
            subject_digest=subject,
            opens_ms=opens_ms,
            closes_ms=closes_ms,
            ends_ms=closes_ms + lasting_ms,
            text=wish.text,
            serial=secrets.token_bytes(SERIAL_BYTES),
        )
    except ValueError as error:
        raise Failure(f"no motion can say that: {error}; see --window and --lasting") from error


def _find_subject(ledger: Ledger, wish: _Wish) -> bytes:
    """Return the digest of what is to be decided on.

    Raises:
        Failure: there is no such thing.
    """
    from vetonet.cli.directory import read_treaty_file
    from vetonet.policy.action import ActionClass
    from vetonet.policy.motion import SUSPENDING

    if ActionClass(wish.action) in SUSPENDING:
        return pick(parse_prefix(wish.subject), list(ledger.tenures))
    path = Path(wish.subject)
    if path.is_file():
        is_firmware = wish.action in APPROVING
        return (
            _read_reference(path, ledger, wish.action)
            if is_firmware
            else read_treaty_file(path).payload_digest
        )
    try:
        digest = bytes.fromhex(wish.subject) if len(wish.subject) == DIGEST_CHARS else b""
    except ValueError:
        digest = b""
    if not digest:
        what = "reference values'" if wish.action in APPROVING else "a treaty's"
        expected = f"{what} file, or a digest of {DIGEST_CHARS} hexadecimal digits"
        raise Failure(f"--subject: expected {expected}, got {show(wish.subject)}")
    return digest


def _read_reference(path: Path, ledger: Ledger, action: str) -> bytes:
    """Return the digest of reference values in a file, by a maker of the treaty and for this class of action.

    Raises:
        Failure: unreadable, by nobody that the treaty names, or for the other class.
    """
    from vetonet.attestation.reference_values import ReferenceValues, open_reference_values

    roots = {maker.root_key.key_id: maker.root_key for maker in ledger.treaty.statement.endorsers}
    data = read_input(path, "reference values", maximum=ReferenceValues.MAX_BYTES)
    try:
        signed = open_reference_values(data, roots)
    except VetonetError as error:
        message = f"{path}: expected reference values by a maker of the treaty: {error}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error
    _require_purpose(str(path), signed.statement, action)
    return signed.payload_digest


def _require_purpose(where: str, values: ReferenceValues, action: str) -> None:
    if values.purpose != action:
        purpose = values.purpose.value
        raise Failure(f"{where}: their maker signed them as {purpose}; move that, or they never count")
