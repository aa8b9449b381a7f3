"""``vetonet party found``: one party's part in founding a treaty with the others, each on its own machine."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vetonet.cli.exits import Failure
from vetonet.cli.output import examples, json_option, note, print_json, print_line, spell_command
from vetonet.cli.parameters import ADDRESS, DURATION, parse_address, show
from vetonet.cli.party_home import read_unlock, unlock_options
from vetonet.cli.session import DEFAULT_ADDRESS as COORDINATOR_ADDRESS
from vetonet.cli.session import read_clock, run_async
from vetonet.errors import VetonetError
from vetonet.units import Milliseconds

if TYPE_CHECKING:
    from vetonet.crypto.statement import Signed
    from vetonet.party.founding_home import Applicant
    from vetonet.party.founding_network import FoundingDriver
    from vetonet.party.home_settings import HomeSettings
    from vetonet.policy.treaty import Terms, Treaty

STOP_GRACE_S: Final = 1.0


@click.command(
    epilog=examples(
        "vetonet party found p1 --charter p1-invitation/charter.cbor --listen 0.0.0.0:7450 \\\n"
        "      --peer P2=p2.example:7450 --peer P3=p3.example:7450 --key-file p1.key"
    ),
)
@click.argument("home", type=click.Path(path_type=Path))
@click.option(
    "--charter",
    "charter_path",
    required=True,
    type=click.Path(path_type=Path),
    help="The charter from the convener; the party's certificate is in HOME or lies beside it.",
)
@unlock_options
@click.option(
    "--listen", required=True, type=ADDRESS, metavar="HOST:PORT", help="Where to take the others' calls."
)
@click.option(
    "--peer", "peers", multiple=True, metavar="ID=HOST:PORT", help="Where another party is; once for each."
)
@click.option(
    "--attempt",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="The council's attempt; after one that failed all take the next number.",
)
@click.option(
    "--deadline",
    "deadline_ms",
    type=DURATION,
    default="2m",
    show_default=True,
    help="So long from now for everything; then the silent are named.",
)
@click.option(
    "--coordinator",
    type=ADDRESS,
    default=COORDINATOR_ADDRESS,
    show_default=True,
    metavar="HOST:PORT",
    help="Where the coordinator will be, for party.toml.",
)
@click.option(
    "--signed-treaty",
    "signed_path",
    type=click.Path(path_type=Path),
    help="Another party's treaty.cbor: end an attempt that this party missed the end of; calls nobody.",
)
@json_option
def found(
    *,
    home: Path,
    charter_path: Path,
    passphrase_file: Path | None,
    key_file: Path | None,
    signed_path: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Found the treaty of a charter together with its other parties, as the party whose keys are in HOME.

    All run this at about the same time. At the end HOME holds the treaty that all signed, this party's key
    shares, and founding.cbor, which shows anybody how the groups' keys were made. Compare the charter's
    digest with the others, by voice, before you run it.
    """
    from vetonet.cli.drafting import read_charter
    from vetonet.party.founding_home import open_applicant, verify_applicant

    terms = read_charter(charter_path)
    unlock = read_unlock(passphrase_file, key_file)
    applicant = open_applicant(home, charter_path.parent, unlock, secrets.token_bytes)
    verify_applicant(applicant, terms)
    addresses = _read_peers(options["peers"], terms, applicant.party_id)
    if not as_json:
        _introduce(terms)
    settings = _to_settings(applicant, addresses, options)
    if signed_path is not None:
        treaty = _end_attempt(signed_path, terms, applicant, settings, options["attempt"])
    else:
        driver = _prepare(terms, applicant, options["attempt"], options["deadline_ms"])
        treaty = run_async(lambda: _take_part(driver, applicant, settings))
    _conclude(treaty, home, applicant.party_id, as_json=as_json)


def _introduce(terms: Terms) -> None:
    from vetonet.cli.treaties import print_charter

    print_charter(terms)
    print_line()


def _read_peers(texts: tuple[str, ...], terms: Terms, own: str) -> dict[str, str]:
    """Return the address of each other party.

    Raises:
        Failure: one is missing, twice, a stranger's, or no address.
    """
    others = [party.party_id for party in terms.parties if party.party_id != own]
    addresses: dict[str, str] = {}
    for text in texts:
        party_id, _, address = text.partition("=")
        if party_id not in others or party_id in addresses:
            raise Failure(
                f"--peer: expected each of {', '.join(others)} once as ID=HOST:PORT, got {show(text)}"
            )
        try:
            addresses[party_id] = parse_address(address)
        except ValueError as error:
            raise Failure(f"--peer: {party_id}: {error}") from error
    missing = [party_id for party_id in others if party_id not in addresses]
    if missing:
        raise Failure(f"--peer: expected the address of each other party, none of {', '.join(missing)}")
    return addresses


def _to_settings(
    applicant: Applicant, addresses: Mapping[str, str], options: Mapping[str, Any]
) -> HomeSettings:
    from vetonet.party.home_settings import HomeSettings

    return HomeSettings(
        party_id=applicant.party_id,
        trust_domain=applicant.credential.identity.trust_domain,
        coordinator=options["coordinator"],
        listen=options["listen"],
        peers=addresses,
    )


def _end_attempt(
    path: Path, terms: Terms, applicant: Applicant, settings: HomeSettings, attempt: int
) -> Signed[Treaty]:
    """Return the treaty that the others ended with, once the home holds it with what was kept of it."""
    from vetonet.cli.directory import read_treaty_file
    from vetonet.party.founding_home import recover, settle

    treaty = read_treaty_file(path)
    if treaty.statement.to_terms() != terms:
        raise Failure(f"{path}: a treaty of another charter")
    settle(applicant, treaty, recover(applicant, treaty.statement, attempt), settings)
    return treaty


def _prepare(terms: Terms, applicant: Applicant, attempt: int, patience_ms: Milliseconds) -> FoundingDriver:
    from vetonet.party.founding_home import HomeMemory
    from vetonet.party.founding_network import FoundingDriver

    driver = FoundingDriver(
        terms,
        applicant.party_id,
        applicant.statement_key,
        attempt=attempt,
        deadline_ms=read_clock() + patience_ms,
        rng=secrets.token_bytes,
        clock=read_clock,
        report=note,
    )
    HomeMemory(applicant).require_unused(driver.get_status(None).position)
    return driver


async def _take_part(driver: FoundingDriver, applicant: Applicant, settings: HomeSettings) -> Signed[Treaty]:
    """Return the treaty once the home holds it and whoever needs this party's signature has it."""
    from vetonet.party.founding_home import HomeMemory, keep_evidence, settle
    from vetonet.party.founding_service import connect_founders, serve_founding
    from vetonet.policy.founding import FoundingAbortedError

    credential = applicant.credential
    bound = await serve_founding(
        driver, settings.listen, credential=credential, max_message_bytes=driver.max_message_bytes
    )
    note(f"{driver.party_id} listens on {bound.address}; waiting for {', '.join(sorted(settings.peers))}")
    peers = connect_founders(settings.peers, credential=credential, rng=secrets.token_bytes)
    try:
        treaty, derived = await driver.run(peers, HomeMemory(applicant))
        settle(applicant, treaty, derived, settings)
        await driver.linger()
    except VetonetError as error:
        if isinstance(error, FoundingAbortedError) and error.spoilt is not None:
            note(f"what was signed is in {keep_evidence(applicant.root, error.spoilt)}")
        await driver.linger()
        raise
    finally:
        await bound.stop(STOP_GRACE_S)
        for peer in peers.values():
            await peer.close()
    return treaty


def _conclude(treaty: Signed[Treaty], home: Path, party_id: str, *, as_json: bool) -> None:
    from vetonet.cli.treaties import describe_treaty

    if as_json:
        print_json({"home": str(home), "party": party_id, **describe_treaty(treaty)})
        return
    print_line(f"founded: treaty {treaty.payload_digest.hex()}")
    print_line(f"{home} is the home of {party_id} now; compare this digest with the others'")
    print_line(f"next: {spell_command()} party run {home}")
