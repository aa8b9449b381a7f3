"""Statements: the only things that vetonet signs, and the one module that makes and opens them.

A statement is a record in a COSE_Sign1 (one signer) or COSE_Sign (several) whose protected header carries
exactly algorithm, key id and statement type, and whose unprotected header is empty, so that every byte is
signed or is the signature (VN-2.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Final, Generic, NamedTuple, TypeVar

from vetonet.crypto import cose
from vetonet.crypto.keys import KEY_ID_BYTES, Algorithm, PublicKey, SigningKey
from vetonet.encoding import cbor
from vetonet.encoding.record import Record
from vetonet.errors import EncodingError, InvalidSignatureError, UnknownPartyError, VetonetError

TYPE_PREFIX: Final = "application/vetonet."
TYPE_SUFFIX: Final = "+cbor"

CONFLICT: Final = "conflict"
"""The kind of the one leaf that nobody signs, beside the types of statements (VN-17.4)."""

_MAP: Final = 5  # the major type of a CBOR map (RFC 8949 section 3.1)

Keys = Mapping[bytes, PublicKey]
"""Known public keys by key id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Record):
    """A record that is signed; ``TYPE`` goes into the protected header so that types cannot be confused."""

    TYPE: ClassVar[str]


S = TypeVar("S", bound=Statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed(Generic[S]):
    """A statement together with the bytes that were verified; only ``open_*`` and ``Claimed`` make one.

    Attributes:
        statement: the parsed content.
        signers: who signed, in the order of their key ids.
        data: the whole COSE structure as received; this is what goes into the log.
        payload: the statement's own bytes, a part of ``data``.
    """

    statement: S
    signers: tuple[PublicKey, ...]
    data: bytes = field(repr=False)
    payload: bytes = field(repr=False, compare=False)

    @property
    def signer(self) -> PublicKey:
        """The signer of a statement that has exactly one."""
        (only,) = self.signers
        return only

    @property
    def payload_digest(self) -> bytes:
        """SHA-256 of the statement's own bytes: its identity, whoever signed it."""
        return hashlib.sha256(self.payload).digest()

    @property
    def digest(self) -> bytes:
        """SHA-256 of the whole signed bytes: the identity of this leaf in the log."""
        return hashlib.sha256(self.data).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What the outside of a statement claims, before anything is verified.

    Attributes:
        kind: the statement type, such as ``ballot``.
        key_id: the signer's, or None where several signed.
    """

    kind: str
    key_id: bytes | None


def compute_digest(statement: Statement) -> bytes:
    """Return the identity of a statement: SHA-256 of its canonical bytes."""
    return hashlib.sha256(statement.to_bytes()).digest()


def sign(statement: Statement, key: SigningKey) -> bytes:
    """Return the statement as a COSE_Sign1 by ``key``.

    Raises:
        EncodingError: a field is outside its range, or the whole is larger than anyone opens.
    """
    header = _header(type(statement).TYPE, key.public_key)
    return _fitting(statement, cose.sign1(statement.to_bytes(), header, key))


def sign_jointly(statement: Statement, keys: Sequence[SigningKey]) -> bytes:
    """Return the statement as a COSE_Sign by all ``keys``.

    Raises:
        EncodingError: a field is outside its range, or the whole is larger than anyone opens.
    """
    header = {cose.LABEL_TYP: _full_type(type(statement).TYPE)}
    return _fitting(statement, cose.sign_many(statement.to_bytes(), header, keys))


def compute_signing_input(statement: Statement, key: PublicKey) -> bytes:
    """Return the bytes that the members of group ``key`` sign when no single one of them can (FROST)."""
    body, own = _joint_headers(statement, key)
    return cose.compute_sign_input(body, own, statement.to_bytes())


def sign_entry(statement: Statement, key: SigningKey) -> bytes:
    """Return the signature of one of several signers, which ``attach_signatures`` puts together with others'.

    Raises:
        EncodingError: a field is outside its range.
    """
    return key.sign(compute_signing_input(statement, key.public_key))


def verify_entry(statement: Statement, key: PublicKey, signature: bytes) -> None:
    """Hold that this is the signature of ``key``, as one of several signers, over this statement.

    Raises:
        InvalidSignatureError: it is not; ``culprits`` holds the key id.
    """
    try:
        key.verify(compute_signing_input(statement, key), signature)
    except InvalidSignatureError as error:
        raise InvalidSignatureError(str(error), culprits=(key.key_id.hex(),)) from error


def attach_signatures(statement: Statement, signatures: Mapping[PublicKey, bytes]) -> bytes:
    """Return the COSE_Sign of a statement whose signatures were made elsewhere: by groups, or ``sign_entry``.

    Raises:
        EncodingError: a field is outside its range, or the whole is larger than anyone opens.
        InvalidSignatureError: a signature is not that of its key over this statement, or there is none;
            ``culprits`` holds the key id.
    """
    if not signatures:
        raise InvalidSignatureError(f"{_with_article(statement.TYPE)} that nobody signed")
    for key, signature in signatures.items():
        verify_entry(statement, key, signature)
    header = {cose.LABEL_TYP: _full_type(type(statement).TYPE)}
    return _fitting(statement, cose.build_sign(statement.to_bytes(), header, signatures))


def peek(data: bytes, *, max_bytes: int = cose.MAX_COSE_BYTES) -> Envelope:
    """Return what a statement claims to be, verifying nothing: for choosing who should open it.

    Raises:
        EncodingError: not a COSE structure with a vetonet statement type, or larger than ``max_bytes``.
    """
    if data.startswith(cose.TAG_SIGN):
        return Envelope(kind=_kind_of(cose.parse_sign(data, max_bytes=max_bytes).protected), key_id=None)
    parsed = cose.parse_sign1(data, max_bytes=max_bytes)
    kid = parsed.protected.get(cose.LABEL_KID)
    return Envelope(kind=_kind_of(parsed.protected), key_id=kid if isinstance(kid, bytes) else None)


def read_kind(data: bytes) -> str:
    """Return what kind of leaf these bytes claim to be: the type of a statement, or a conflict.

    Raises:
        EncodingError: neither.
    """
    return CONFLICT if data and data[0] >> 5 == _MAP else peek(data).kind


def open_statement(data: bytes, kind: type[S], keys: Keys) -> Signed[S]:
    """Return the statement in ``data`` after verifying its one signature.

    Args:
        data: untrusted bytes of a COSE_Sign1.
        kind: the statement class that is expected here.
        keys: the keys that may sign such a statement, by key id.

    Raises:
        EncodingError: another structure, type or spelling.
        UnknownPartyError: the key id is not among ``keys``.
        InvalidSignatureError: the signature does not verify.
    """
    key, parts = _split(data, kind, keys)
    key.verify(parts.message, parts.signature)
    return _read_verified(data, kind, key, parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The content of a statement whose signature holds, whatever its bytes spell."""

    signer: PublicKey
    payload: bytes = field(repr=False)


def verify_statement(data: bytes, kind: type[Statement], keys: Keys) -> Verified:
    """Return who signed a statement and its content as bytes: for telling what is wrong with signed content.

    Raises:
        EncodingError: another structure or type.
        UnknownPartyError: the key id is not among ``keys``.
        InvalidSignatureError: the signature does not verify.
    """
    key, parts = _split(data, kind, keys)
    key.verify(parts.message, parts.signature)
    return Verified(signer=key, payload=parts.payload)


class Claimed(NamedTuple, Generic[S]):
    """A statement by one signer that was read and not verified: for whoever must know first what it says.

    A tuple, because a verifier makes very many.

    Attributes:
        statement: what it says, if it is genuine.
        algorithm, key_id: of the key that must have signed it.
        data: the whole COSE_Sign1 as received.
        parts: the same, taken apart.
    """

    statement: S
    algorithm: Algorithm
    key_id: bytes
    data: bytes
    parts: cose.Sign1Parts

    @classmethod
    def from_bytes(cls, data: bytes, kind: type[S]) -> Claimed[S]:
        """Return what untrusted bytes of a COSE_Sign1 claim.

        Raises:
            EncodingError: another structure, type or spelling.
        """
        parts = cose.split_sign1(data, max_bytes=kind.MAX_BYTES)
        algorithm, key_id = _parse_protected(parts.protected, kind.TYPE)
        statement = kind.from_bytes(parts.payload)
        return Claimed(statement, algorithm, key_id, data, parts)

    def find_signer(self, keys: Keys) -> PublicKey:
        """Return the key that must have signed it.

        Raises:
            UnknownPartyError: it is not among ``keys``.
        """
        key = keys.get(self.key_id)
        if key is None or key.algorithm != self.algorithm:
            msg = f"{_with_article(self.statement.TYPE)} statement by an unknown key {self.key_id.hex()[:16]}"
            raise UnknownPartyError(msg, clause="VN-2.2")
        return key

    def verify(self, key: PublicKey) -> Signed[S]:
        """Return it as signed by ``key``, which ``find_signer`` gave.

        Raises:
            InvalidSignatureError: the signature does not verify.
        """
        key.verify(self.parts.message, self.parts.signature)
        return self.vouch(key)

    def vouch(self, key: PublicKey) -> Signed[S]:
        """Return it as signed by ``key``, where a verified statement of that key names just these bytes."""
        return Signed(statement=self.statement, signers=(key,), data=self.data, payload=self.parts.payload)


def open_statements(items: Sequence[bytes], kind: type[S], keys: Keys) -> list[Signed[S]]:
    """Return the statements in ``items``, in order, after verifying each; the first bad one ends it.

    The same as ``open_statement`` for each, but step by step for all, so that next to nothing is done under
    the lock of Python between two verifications, which other threads may overlap. Interleaved, two threads
    hand that lock, and the memory behind it, to and fro for each statement: most of what a second core gains.

    Raises:
        EncodingError, UnknownPartyError, InvalidSignatureError: as ``open_statement``.
    """
    try:
        split = [_split(data, kind, keys) for data in items]
        for key, parts in split:
            key.verify(parts.message, parts.signature)
        return [_read_verified(data, kind, *claim) for data, claim in zip(items, split, strict=True)]
    except VetonetError:
        return [open_statement(data, kind, keys) for data in items]  # raises for the first bad one in order


def _split(data: bytes, kind: type[S], keys: Keys) -> tuple[PublicKey, cose.Sign1Parts]:
    """Return the key that a statement names, and the parts that it must have signed."""
    parts = cose.split_sign1(data, max_bytes=kind.MAX_BYTES)
    algorithm, key_id = _parse_protected(parts.protected, kind.TYPE)
    key = keys.get(key_id)
    if key is None or key.algorithm != algorithm:
        msg = f"{_with_article(kind.TYPE)} statement by an unknown key {key_id.hex()[:16]}"
        raise UnknownPartyError(msg, clause="VN-2.2")
    return key, parts


def _read_verified(data: bytes, kind: type[S], key: PublicKey, parts: cose.Sign1Parts) -> Signed[S]:
    statement = kind.from_bytes(parts.payload)
    return Signed(statement=statement, signers=(key,), data=data, payload=parts.payload)


def open_joint_statement(data: bytes, kind: type[S], keys: Iterable[PublicKey]) -> Signed[S]:
    """Return the statement in ``data`` after verifying that exactly all of ``keys`` signed it.

    Raises:
        EncodingError: another structure, type or spelling.
        InvalidSignatureError: a signer is missing, not wanted, twice, out of order, or did not sign;
            ``culprits`` holds the key ids, in hexadecimal, of those whose signature is missing or bad.
    """
    parsed = cose.parse_sign(data, max_bytes=kind.MAX_BYTES)
    if dict(parsed.protected) != {cose.LABEL_TYP: _full_type(kind.TYPE)}:
        msg = f"expected a jointly signed {kind.TYPE} statement"
        raise EncodingError(msg)
    wanted = tuple(sorted(set(keys), key=lambda key: key.key_id))
    _verify_signers(parsed, wanted, kind.TYPE)
    for index, key in enumerate(wanted):
        _verify_entry(parsed, index, key)
    statement = kind.from_bytes(parsed.payload)
    return Signed(statement=statement, signers=wanted, data=data, payload=parsed.payload)


def open_group_statement(data: bytes, kind: type[S], keys: Keys) -> Signed[S]:
    """Return the statement in ``data`` after verifying its signatures, at least one, all by some of ``keys``.

    Whether those that signed are enough, the caller judges.

    Raises:
        EncodingError: another structure, type or spelling, such as signers twice or out of order.
        UnknownPartyError: a signer is not among ``keys``.
        InvalidSignatureError: a signature does not verify; ``culprits`` holds its key id.
    """
    parsed = cose.parse_sign(data, max_bytes=kind.MAX_BYTES)
    if dict(parsed.protected) != {cose.LABEL_TYP: _full_type(kind.TYPE)}:
        raise EncodingError(f"expected {_with_article(kind.TYPE)} statement signed by groups")
    signers = tuple(_find_signer(entry.protected, kind, keys) for entry in parsed.signatures)
    if any(left.key_id >= right.key_id for left, right in pairwise(signers)):
        raise EncodingError(f"expected the signers of a {kind.TYPE} once each, in the order of their key ids")
    for index, key in enumerate(signers):
        _verify_entry(parsed, index, key)
    statement = kind.from_bytes(parsed.payload)
    return Signed(statement=statement, signers=signers, data=data, payload=parsed.payload)


def _find_signer(header: cose.Header, kind: type[Statement], keys: Keys) -> PublicKey:
    key_id = header.get(cose.LABEL_KID)
    key = keys.get(key_id) if isinstance(key_id, bytes) else None
    if key is None:
        shown = key_id.hex()[:16] if isinstance(key_id, bytes) else "none"
        message = f"{_with_article(kind.TYPE)} statement by an unknown key {shown}"
        raise UnknownPartyError(message, clause="VN-2.2")
    if dict(header) != _signer_header(key):
        raise EncodingError("expected exactly algorithm and key id in the protected header of a signer")
    return key


def read_unverified(data: bytes, kind: type[S]) -> S:
    """Return the content of a statement without believing it, to learn which keys must have signed it.

    Raises:
        EncodingError: another structure or spelling.
    """
    joint = data.startswith(cose.TAG_SIGN)
    payload = (cose.parse_sign if joint else cose.parse_sign1)(data, max_bytes=kind.MAX_BYTES).payload
    return kind.from_bytes(payload)


def _verify_signers(parsed: cose.Sign, wanted: Sequence[PublicKey], kind: str) -> None:
    """Hold that exactly the wanted signers have an entry each, in the order of their key ids."""
    expected = [_signer_header(key) for key in wanted]
    actual = [dict(entry.protected) for entry in parsed.signatures]
    if actual != expected:
        missing = tuple(key.key_id.hex() for key in wanted if _signer_header(key) not in actual)
        msg = f"expected exactly the {len(wanted)} signers of this {kind}, in the order of their key ids"
        raise InvalidSignatureError(msg, culprits=missing)


def _verify_entry(parsed: cose.Sign, index: int, key: PublicKey) -> None:
    try:
        parsed.verify(index, key)
    except InvalidSignatureError as error:
        raise InvalidSignatureError(str(error), culprits=(key.key_id.hex(),)) from error


def _fitting(statement: Statement, data: bytes) -> bytes:
    """Return the signed bytes unless ``open_*`` would find them too large: never sign what nobody reads."""
    if len(data) > statement.MAX_BYTES:
        msg = f"a signed {statement.TYPE} of {len(data)} bytes, more than the {statement.MAX_BYTES} accepted"
        raise EncodingError(msg)
    return data


@lru_cache(maxsize=4096)
def _parse_protected(protected: bytes, expected_kind: str) -> tuple[Algorithm, bytes]:
    """Return algorithm and key id; cached, because one signer's headers are all alike."""
    header = cose.parse_header(protected)
    algorithm, key_id = header.get(cose.LABEL_ALG), header.get(cose.LABEL_KID)
    if len(header) != 3 or type(algorithm) is not int or algorithm not in set(Algorithm):  # noqa: PLR2004
        msg = "expected exactly algorithm, key id and type in the protected header"
        raise EncodingError(msg)
    if type(key_id) is not bytes or len(key_id) != KEY_ID_BYTES:
        msg = f"expected a key id of {KEY_ID_BYTES} bytes in the protected header"
        raise EncodingError(msg)
    if header.get(cose.LABEL_TYP) != _full_type(expected_kind):
        got = str(header.get(cose.LABEL_TYP))[:60]
        msg = f"expected {_with_article(expected_kind)} statement, got {got!r}"
        raise EncodingError(msg)
    return Algorithm(algorithm), key_id


def _header(kind: str, key: PublicKey) -> cose.Header:
    return {**_signer_header(key), cose.LABEL_TYP: _full_type(kind)}


def _joint_headers(statement: Statement, key: PublicKey) -> tuple[bytes, bytes]:
    body = cbor.to_bytes({cose.LABEL_TYP: _full_type(type(statement).TYPE)})
    return body, cbor.to_bytes(dict(_signer_header(key)))


def _signer_header(key: PublicKey) -> dict[int, object]:
    return {cose.LABEL_ALG: int(key.algorithm), cose.LABEL_KID: key.key_id}


def _with_article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"


def _full_type(kind: str) -> str:
    return f"{TYPE_PREFIX}{kind}{TYPE_SUFFIX}"


def _kind_of(header: cose.Header) -> str:
    full = header.get(cose.LABEL_TYP)
    if not isinstance(full, str) or not full.startswith(TYPE_PREFIX) or not full.endswith(TYPE_SUFFIX):
        msg = "not a vetonet statement: no such type in the protected header"
        raise EncodingError(msg)
    return full[len(TYPE_PREFIX) : -len(TYPE_SUFFIX)]
