"""What a chip keeps over a loss of power, as bytes for its flash (VN-17.15).

All of ``ChipState`` is kept but for what ``REBUILT`` names. The bytes hold the device key of a chip without
a secure element of its own: they are for that chip's flash, and for nothing and nobody else. A digest in
the store around them shows damage; that they are not older than they should be, nothing in them can show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec

from vetonet.attester.account import OpeningTold
from vetonet.attester.holdings import PastTreaty
from vetonet.attester.models import CHIP_MODELS, ChipModel
from vetonet.attester.secure_element import SecureElement, SoftwareElement
from vetonet.attester.snapshots import SnapshotTaken
from vetonet.attester.state import ChipState, ReportSigned
from vetonet.crypto.keys import EcdsaSigningKey
from vetonet.crypto.statement import Signed, read_unverified
from vetonet.encoding import cbor
from vetonet.encoding.record import MAX_STATEMENT_BYTES, Codec, parsed
from vetonet.encoding.shape import Codecs, compute_codec, compute_members, from_map, to_map
from vetonet.errors import EncodingError
from vetonet.policy.licence import Licence, open_licence
from vetonet.policy.treaty import Treaty, open_treaty
from vetonet.tlog.policy import LogPolicy

VERSION: Final = 2
MAX_BYTES: Final = 2**20

REBUILT: Final[Mapping[str, str]] = {
    "log_policy": "follows from the treaty",
    "alias_key": "lives in memory only: the next start makes another, and endorses it",
}
"""The fields of a chip's state that are not kept, and why."""

HandedOut: TypeAlias = ReportSigned | OpeningTold | SnapshotTaken
"""Effects whose bytes others wait for: kept until it is certain that they were handed out.

An alias endorsement is none of them. Whoever asks a chip for a report has received what its start returned,
so where the power fails before that, the lost alias key signed nothing, and the next start endorses another.
"""

_SCALARS: Final = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}
_NAMES: Final = {curve.name: name for name, curve in _SCALARS.items()}
_MODELS: Final = {model.name: model for model in CHIP_MODELS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a chip's flash holds.

    Attributes:
        state: of the chip.
        outbox: what it made last and may not have handed out yet.
    """

    state: ChipState = field(repr=False)
    outbox: tuple[HandedOut, ...] = ()


def write_kept(kept: Kept) -> bytes:
    """Return the one spelling of what a chip keeps.

    Raises:
        EncodingError: more than a chip's flash takes, or a model that is not in the table of models.
    """
    item = {
        "version": VERSION,
        "state": to_map(kept.state, _list_writers()),
        "outbox": _compute_outbox().to_item(kept.outbox),
    }
    data = cbor.to_bytes(item)
    if len(data) > MAX_BYTES:
        raise EncodingError(f"a state of {len(data)} bytes, more than the {MAX_BYTES} that are read")
    return data


def read_kept(data: bytes, element: SecureElement | None = None) -> Kept:
    """Return what a chip kept, its treaties and its licence verified anew.

    Args:
        data: what the flash held.
        element: the chip's secure element, where the device key is in one and not in the flash.

    Raises:
        EncodingError: another version or shape, or not the one spelling.
        VetonetError: a treaty or licence in it does not verify.
    """
    item = cbor.from_bytes(data, max_bytes=MAX_BYTES)
    if type(item) is not dict or item.keys() != {"version", "state", "outbox"}:
        raise EncodingError("expected version, state and outbox of a chip")
    if item["version"] != VERSION or type(item["version"]) is not int:
        raise EncodingError(f"expected version {VERSION} of a chip's state")
    members = _list_members(_list_codecs(element, _index_treaties(item["state"])))
    fields = from_map(item["state"], members)
    state = ChipState(**fields, log_policy=LogPolicy.under(fields["treaty"].statement), alias_key=None)
    return Kept(state=state, outbox=_compute_outbox().from_item(item["outbox"]))


@cache
def _list_writers() -> Mapping[str, Codec[Any]]:
    """To write, a codec needs to know neither the element nor the treaties."""
    return _list_members(_list_codecs(None, {}))


def _list_members(codecs: Codecs) -> Mapping[str, Codec[Any]]:
    return compute_members(ChipState, codecs, frozenset(REBUILT))


def _list_codecs(element: SecureElement | None, treaties: Mapping[bytes, Signed[Treaty]]) -> Codecs:
    """Return the codecs of what annotations do not describe: keys, models and what others signed."""

    def find_treaty(data: bytes) -> Signed[Treaty]:
        named = read_unverified(data, Licence).treaty_digest
        if named not in treaties:
            raise EncodingError("a licence of a treaty that this chip never obeyed")
        return treaties[named]

    def parse_licence(data: bytes) -> Signed[Licence]:
        return open_licence(data, find_treaty(data))

    return {
        ChipModel: Codec(_name_model, _find_model),
        SecureElement: Codec(_spell_element, lambda item: _find_element(item, element)),
        Signed[Treaty]: _TREATY,
        Signed[Licence]: parsed(lambda signed: signed.data, parse_licence, maximum=MAX_STATEMENT_BYTES),
    }


@lru_cache(maxsize=256)
def _open_treaty(data: bytes) -> Signed[Treaty]:
    """All chips under one treaty share it in memory, and verify it once."""
    return open_treaty(data)


_TREATY: Final = parsed(lambda signed: signed.data, _open_treaty, maximum=MAX_STATEMENT_BYTES)


def _index_treaties(state: cbor.Item) -> Mapping[bytes, Signed[Treaty]]:
    """Return the treaties of a state by digest: a licence is of one of them."""
    if type(state) is not dict or "treaty" not in state or "past" not in state:
        raise EncodingError("expected the state of a chip")
    past = compute_codec(tuple[PastTreaty, ...], {Signed[Treaty]: _TREATY}).from_item(state["past"])
    found = (_TREATY.from_item(state["treaty"]), *(former.signed for former in past))
    return {signed.payload_digest: signed for signed in found}


@cache
def _compute_outbox() -> Codec[tuple[HandedOut, ...]]:
    return compute_codec(tuple[HandedOut, ...], {})


def _name_model(model: ChipModel) -> cbor.Item:
    """A model is a row of a table that firmware carries, so its name is enough; another one has none."""
    if _MODELS.get(model.name) != model:
        raise EncodingError(f"no such model in the table: {model.name!r}")
    return model.name


def _find_model(item: cbor.Item) -> ChipModel:
    if type(item) is not str or item not in _MODELS:
        raise EncodingError("expected the name of a model in the table")
    return _MODELS[item]


def _spell_element(element: SecureElement) -> cbor.Item:
    """The key itself where software is all that holds it; of a real element only which one it is."""
    if not isinstance(element, SoftwareElement):
        return element.public_key.to_bytes()
    private = element.device_key.private_key
    number = private.private_numbers().private_value
    return [_NAMES[private.curve.name], number.to_bytes(private.key_size // 8, "big")]


def _find_element(item: cbor.Item, element: SecureElement | None) -> SecureElement:
    match item:
        case [str() as name, bytes() as scalar] if name in _SCALARS:
            return SoftwareElement(device_key=_derive_ecdsa(_SCALARS[name], scalar))
        case _ if element is not None and element.public_key.to_bytes() == item:
            return element
        case _:
            raise EncodingError("a state of a chip with another secure element")


def _derive_ecdsa(curve: ec.EllipticCurve, scalar: bytes) -> EcdsaSigningKey:
    if len(scalar) != curve.key_size // 8:
        raise EncodingError("expected a scalar as wide as its curve")
    try:
        return EcdsaSigningKey(private_key=ec.derive_private_key(int.from_bytes(scalar, "big"), curve))
    except ValueError as error:
        raise EncodingError("expected a scalar of its curve") from error
