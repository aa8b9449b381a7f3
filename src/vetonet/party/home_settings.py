"""``party.toml``: where a party's daemon listens and whom it calls, as people write it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vetonet.errors import ConfigError
from vetonet.party.toml_lines import TomlMistakes, TomlPath, parse_toml
from vetonet.party.toml_reading import spell_value
from vetonet.units import show
from vetonet.wire.address import parse_address

MAX_SETTINGS_BYTES: Final = 64 * 1024

_REQUIRED: Final = ("party", "trust-domain", "coordinator", "listen")
_KEYS: Final = (*_REQUIRED, "witness-listen", "peers")


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeSettings:
    """What a party's daemon needs to know besides the treaty and its secrets.

    Attributes:
        party_id: whose home it is.
        trust_domain: whose certificates are taken; must be that of the party's own.
        coordinator: where the coordinator is, ``host:port``.
        listen: where the daemon takes calls.
        witness_listen: where the party's witness takes requests, or None where it does not run here.
        peers: where other parties' daemons are, by party id; one that is left out is never told directly.
    """

    party_id: str
    trust_domain: str
    coordinator: str
    listen: str
    witness_listen: str | None = None
    peers: Mapping[str, str] = field(default_factory=dict)

    def to_text(self) -> str:
        """Return the file for people to go on writing."""
        witness = (
            '# witness-listen = "127.0.0.1:7444"   # run the party\'s witness here, too'
            if self.witness_listen is None
            else f'witness-listen = "{self.witness_listen}"'
        )
        peers = [f'{party_id} = "{address}"' for party_id, address in self.peers.items()]
        return "\n".join(
            (
                "# The daemon of a party. Options of `vetonet party run` come before what stands here.",
                f'party = "{self.party_id}"',
                f'trust-domain = "{self.trust_domain}"',
                f'coordinator = "{self.coordinator}"',
                f'listen = "{self.listen}"',
                witness,
                "",
                "# Where the daemons of the other parties are: they are handed ballots and withdrawals",
                "# directly, so that those bind whatever the coordinator does. One line each:",
                '# P2 = "HOST:PORT"',
                "[peers]",
                *peers,
                "",
            )
        )


def parse_settings(text: str, name: str, *, roster: Collection[str]) -> HomeSettings:
    """Return what a text states.

    Args:
        text: TOML.
        name: what the file is called in an error.
        roster: ids of the treaty's parties.

    Raises:
        ConfigError: anything in it is unknown, malformed or missing; every mistake with its line.
    """
    document, mistakes = parse_toml(text, name), TomlMistakes(text, name)
    for key in document:
        if key not in _KEYS:
            mistakes.add((key,), f"expected one of {', '.join(_KEYS)}, got {show(key)}")
    words = {key: _read_word(mistakes, (key,), document.get(key)) for key in _REQUIRED[:2]}
    addresses = {key: _read_address(mistakes, (key,), document.get(key)) for key in _REQUIRED[2:]}
    witness = document.get("witness-listen")
    witness_listen = None if witness is None else _read_address(mistakes, ("witness-listen",), witness)
    others = set(roster) - {words["party"]}
    if words["party"] and words["party"] not in roster:
        mistakes.add(("party",), f"expected a party of the treaty, got {show(words['party'])}")
    peers = _read_peers(mistakes, document.get("peers", {}), others)
    mistakes.refuse()
    return HomeSettings(
        party_id=words["party"],
        trust_domain=words["trust-domain"],
        coordinator=addresses["coordinator"],
        listen=addresses["listen"],
        witness_listen=witness_listen,
        peers=peers,
    )


def parse_peer(text: str, others: Collection[str]) -> tuple[str, str]:
    """Return whom ``ID=HOST:PORT`` names, and where that is.

    Raises:
        ConfigError: no such text, or nobody of these.
    """
    party_id, _, address = text.partition("=")
    if party_id not in others:
        known = ", ".join(sorted(others))
        raise ConfigError(f"expected ID=HOST:PORT of another party ({known}), got {show(text)}")
    try:
        return party_id, parse_address(address)
    except ValueError as error:
        raise ConfigError(f"{party_id}: {error}") from error


def _read_word(mistakes: TomlMistakes, path: TomlPath, value: object) -> str:
    if isinstance(value, str) and value and value.isprintable():
        return value
    mistakes.add(path, f"expected a {path[-1]} in quotes, got {_spell(value)}")
    return ""


def _read_address(mistakes: TomlMistakes, path: TomlPath, value: object) -> str:
    if not isinstance(value, str):
        mistakes.add(path, f"{path[-1]}: expected HOST:PORT in quotes, got {_spell(value)}")
        return ""
    try:
        return parse_address(value)
    except ValueError as error:
        mistakes.add(path, f"{path[-1]}: {error}")
        return ""


def _spell(value: object) -> str:
    """Return a value that came, or that none did: TOML has no null."""
    return "nothing" if value is None else spell_value(value)


def _read_peers(mistakes: TomlMistakes, table: Any, others: Collection[str]) -> dict[str, str]:
    if not isinstance(table, dict):
        mistakes.add(("peers",), 'expected a table of addresses, such as P2 = "127.0.0.1:7452"')
        return {}
    for party_id in table:
        if party_id not in others:
            mistakes.add(("peers", party_id), f"expected another party of the treaty, got {show(party_id)}")
    return {name: _read_address(mistakes, ("peers", name), value) for name, value in table.items()}


def require_own(settings: HomeSettings, *, party_id: str, trust_domain: str) -> None:
    """The settings are those of the party that the certificate names.

    Raises:
        ConfigError: they are another's.
    """
    if (settings.party_id, settings.trust_domain) != (party_id, trust_domain):
        msg = (
            f"the certificate is that of {party_id} in {trust_domain}, "
            f"the settings are for {settings.party_id} in {settings.trust_domain}"
        )
        raise ConfigError(msg)
