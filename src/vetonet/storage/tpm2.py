"""A secure element that is a TPM 2.0: device key, measured boot and monotonic counter inside it (VN-17.1).

Needs tpm2-pytss, the extra ``tpm`` of the package, which stands on the system's tpm2-tss. Everything here is
I/O; what a TPM's evidence means stands in ``vetonet.attestation.tpm``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Protocol

from vetonet.attestation.platform import TPM2
from vetonet.attestation.tpm import (
    COUNTER_ATTRIBUTES,
    COUNTER_BYTES,
    COUNTER_INDEX,
    FIRMWARE_PCR,
    KEY_ATTRIBUTES,
    TpmEvidence,
    compute_alias_policy,
    compute_signer_name,
)
from vetonet.crypto.keys import Algorithm, PublicKey, build_low_s
from vetonet.errors import INSTALL_TPM, ConfigError, StorageError

if TYPE_CHECKING:
    from vetonet.crypto.keys import SigningKey

KEY_HANDLE: Final = 0x8101_5641
MAX_HASHED_BYTES: Final = 1024
_PCRS: Final = f"sha256:{FIRMWARE_PCR}"
_ALIAS_ATTRIBUTES: Final = 0x0004_0432  # fixedTPM, fixedParent, sensitiveDataOrigin, noDA, sign


class TpmChannel(Protocol):
    """A way to a TPM whose power is ours to take: ``vetonet.storage.swtpm.Swtpm`` is one."""

    def transact(self, command: bytes) -> bytes:
        """Return its response."""
        ...

    def reset(self) -> None:
        """Take its power away and give it back."""
        ...


class Tpm2Element:
    """A device key that never left a TPM, a register that says what was measured, a count that never falls.

    One chip has one TPM. Not for several threads at a time.
    """

    __slots__ = ("_alias", "_channel", "_counter", "_esys", "_key", "_tss", "public_key")

    def __init__(self, tss: Any, esys: Any, channel: TpmChannel | None) -> None:
        """Find the device key and the counter, or make them."""
        self._tss: Final = tss
        self._esys: Final = esys
        self._channel: Final = channel
        self._alias: _AliasKey | None = None
        with _translated("open"):
            if channel is not None:
                esys.startup(tss.TPM2_SU.CLEAR)
            self._key: Final = _find_key(tss, esys)
            self._counter: Final = _find_counter(tss, esys)
            public, _, qualified_name = esys.read_public(self._key)
        self.public_key: Final = _read_point(public)
        if bytes(qualified_name) != compute_signer_name(self.public_key):
            raise StorageError(f"the key at {KEY_HANDLE:#010x} of this TPM is not the restricted device key")

    @classmethod
    def open(cls, channel: TpmChannel) -> Tpm2Element:
        """Return the element behind a channel; its power was just switched on.

        Raises:
            ConfigError: tpm2-pytss is not installed.
            StorageError: the TPM does not answer, or holds something else in our places.
        """
        tss = load_tss()
        with _translated("open"):
            return cls(tss, tss.ESAPI(_build_tcti(tss, channel)), channel)

    @classmethod
    def connect(cls, tcti: str) -> Tpm2Element:
        """Return the element that a TCTI string of tpm2-tss names, such as ``device:/dev/tpmrm0``.

        Such a TPM starts with the machine, so ``start`` works once after each reset of it. Tested against
        swtpm only, never on hardware.

        Raises:
            ConfigError, StorageError: as ``open``.
        """
        tss = load_tss()
        with _translated("open"):
            return cls(tss, tss.ESAPI(tss.TCTILdr.parse(tcti)), None)

    @property
    def kind(self) -> str:
        """TPM2."""
        return TPM2

    @property
    def platform(self) -> Tpm2Element:
        """Itself: it quotes and counts."""
        return self

    def sign(self, message: bytes) -> bytes:
        """Return the device key's signature; the TPM hashes, because of what it did not it signs nothing.

        Raises:
            StorageError: the TPM refuses, as it does for what begins like a structure of its own.
        """
        with _translated("sign"):
            digest, ticket = self._hash(message)
            return _spell(self._esys.sign(self._key, digest, _ecdsa(self._tss), ticket))

    def start(self, firmware_digest: bytes, seed: bytes) -> SigningKey:
        """Return a fresh P-256 key inside the TPM that signs only while this firmware, alone, is measured.

        It belongs to the null hierarchy, whose seed every reset changes: with the boot, it is gone.

        Raises:
            StorageError: the TPM refuses, or something was measured before.
        """
        tss, esys = self._tss, self._esys
        with _translated("start"):
            self._reset()
            _, _, (value,) = esys.pcr_read(_PCRS)
            if any(bytes(value)):
                raise StorageError("the TPM has measured firmware before, since its last reset")
            esys.stir_random(seed)
            esys.pcr_extend(
                tss.ESYS_TR(FIRMWARE_PCR), tss.TPML_DIGEST_VALUES([_to_hash(tss, firmware_digest)])
            )
            template = _build_public(tss, _ALIAS_ATTRIBUTES, compute_alias_policy(firmware_digest))
            handle, public, *_ = esys.create_primary(None, template, tss.ESYS_TR.NULL)
            self._alias = _AliasKey(tss, esys, handle, _read_point(public))
        return self._alias

    def quote(self, nonce: bytes) -> bytes:
        """Return the TPM's quote of the firmware register.

        Raises:
            StorageError: the TPM refuses.
        """
        with _translated("quote"):
            attest, signature = self._esys.quote(self._key, _PCRS, nonce, _ecdsa(self._tss))
            return _build_evidence(attest, signature)

    def advance(self, nonce: bytes) -> bytes:
        """Count one further; return the TPM's certification of the count.

        Raises:
            StorageError: the TPM refuses.
        """
        with _translated("count"):
            self._esys.nv_increment(self._counter)
            attest, signature = self._esys.nv_certify(
                self._key, self._counter, nonce, _ecdsa(self._tss), COUNTER_BYTES, auth_handle=self._counter
            )
            return _build_evidence(attest, signature)

    def close(self) -> None:
        """Let the TPM go; it keeps its state, and its power where that is not ours."""
        with contextlib.suppress(self._tss.TSS2_Exception, StorageError):
            if self._channel is not None:
                self._esys.shutdown(self._tss.TPM2_SU.CLEAR)
        self._esys.close()

    def _reset(self) -> None:
        """The TPM has been off and on again, where that is in our power; nothing of the last boot is left."""
        if self._alias is not None:
            self._alias.flush()
            self._alias = None
        if self._channel is not None:
            self._esys.shutdown(self._tss.TPM2_SU.CLEAR)
            self._channel.reset()
            self._esys.startup(self._tss.TPM2_SU.CLEAR)

    def _hash(self, message: bytes) -> tuple[Any, Any]:
        """Return what the TPM makes of a message, and its ticket that it was the one to hash it."""
        tss, esys = self._tss, self._esys
        if len(message) <= MAX_HASHED_BYTES:
            return esys.hash(message, tss.TPM2_ALG.SHA256, tss.ESYS_TR.ENDORSEMENT)  # type: ignore[no-any-return]
        handle = esys.hash_sequence_start(None, tss.TPM2_ALG.SHA256)
        *parts, last = (
            message[at : at + MAX_HASHED_BYTES] for at in range(0, len(message), MAX_HASHED_BYTES)
        )
        for part in parts:
            esys.sequence_update(handle, part)
        return esys.sequence_complete(handle, last, tss.ESYS_TR.ENDORSEMENT)  # type: ignore[no-any-return]


class _AliasKey:
    """The key of one boot, inside the TPM."""

    __slots__ = ("_esys", "_handle", "_session", "_tss", "public_key")

    def __init__(self, tss: Any, esys: Any, handle: Any, public_key: PublicKey) -> None:
        self._tss: Final = tss
        self._esys: Final = esys
        self._handle: Final = handle
        self.public_key: Final = public_key
        algorithm = tss.TPM2_ALG
        none = tss.ESYS_TR.NONE
        self._session: Final = esys.start_auth_session(
            none, none, tss.TPM2_SE.POLICY, tss.TPMT_SYM_DEF(algorithm=algorithm.NULL), algorithm.SHA256
        )
        esys.trsess_set_attributes(self._session, tss.TPMA_SESSION.CONTINUESESSION)

    def sign(self, message: bytes) -> bytes:
        """Return ``r || s``, with the low ``s``.

        Raises:
            StorageError: the TPM refuses, as it does once anything else was measured or it was reset.
        """
        with _translated("sign"):
            self._esys.policy_pcr(self._session, None, _PCRS)
            digest = sha256(message).digest()
            return _spell(self._esys.sign(self._handle, digest, _ecdsa(self._tss), session1=self._session))

    def flush(self) -> None:
        """The TPM has forgotten it."""
        self._esys.flush_context(self._session)
        self._esys.flush_context(self._handle)


def load_tss() -> Any:
    """Return tpm2-pytss.

    Raises:
        ConfigError: it is not installed.
    """
    os.environ.setdefault("TSS2_LOG", "all+NONE")  # it prints what it returns as errors, too
    try:
        import tpm2_pytss  # noqa: PLC0415  (an extra, which most installations lack)
    except (ImportError, RuntimeError) as error:
        raise ConfigError(f"needs swtpm and tpm2-pytss, for which run {INSTALL_TPM}") from error
    return tpm2_pytss


def _build_tcti(tss: Any, channel: TpmChannel) -> Any:
    """Return what hands a TPM's commands to the channel; tpm2-pytss fixes the names of its two methods."""
    responses: list[bytes] = []

    def transmit(_: object, command: bytes) -> None:
        responses.append(channel.transact(bytes(command)))

    def receive(_: object, timeout: int) -> bytes:
        del timeout
        return responses.pop()

    return type("ChannelTcti", (tss.PyTCTI,), {"do_transmit": transmit, "do_receive": receive})()


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    """Within, what goes wrong with the TPM is a StorageError."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        if type(error).__module__.startswith("tpm2_pytss") or isinstance(error, OSError):
            silence = "it does not answer; perhaps it ended, or another process has its state"
            why = silence if str(error).startswith("tcti:") else error
            raise StorageError(f"the TPM cannot {what}: {why}") from error
        raise


def _find_key(tss: Any, esys: Any) -> Any:
    """Return the device key at its place; the first time it is made there."""
    if _holds(tss, esys, KEY_HANDLE):
        return esys.tr_from_tpmpublic(KEY_HANDLE)
    handle, *_ = esys.create_primary(None, _build_public(tss, KEY_ATTRIBUTES), tss.ESYS_TR.ENDORSEMENT)
    kept = esys.evict_control(tss.ESYS_TR.OWNER, handle, KEY_HANDLE)
    esys.flush_context(handle)
    return kept


def _find_counter(tss: Any, esys: Any) -> Any:
    """Return the counter at its place; defined anew it goes on above all that the TPM ever counted."""
    if _holds(tss, esys, COUNTER_INDEX):
        return esys.tr_from_tpmpublic(COUNTER_INDEX)
    public = tss.TPMS_NV_PUBLIC(
        nvIndex=COUNTER_INDEX,
        nameAlg=tss.TPM2_ALG.SHA256,
        attributes=tss.TPMA_NV(COUNTER_ATTRIBUTES),
        dataSize=COUNTER_BYTES,
    )
    handle = esys.nv_define_space(None, tss.TPM2B_NV_PUBLIC(nvPublic=public))
    esys.nv_increment(handle)
    return handle


def _holds(tss: Any, esys: Any, handle: int) -> bool:
    _, capability = esys.get_capability(tss.TPM2_CAP.HANDLES, handle, 1)
    return handle in [int(found) for found in capability.data.handles]


def _build_public(tss: Any, attributes: int, policy: bytes = b"") -> Any:
    is_restricted = attributes == KEY_ATTRIBUTES
    algorithm = tss.TPM2_ALG
    scheme = tss.TPMT_ECC_SCHEME(scheme=algorithm.ECDSA if is_restricted else algorithm.NULL)
    if is_restricted:
        scheme.details.ecdsa.hashAlg = algorithm.SHA256
    parameters = tss.TPMS_ECC_PARMS(
        symmetric=tss.TPMT_SYM_DEF_OBJECT(algorithm=algorithm.NULL),
        scheme=scheme,
        curveID=tss.TPM2_ECC.NIST_P256,
        kdf=tss.TPMT_KDF_SCHEME(scheme=algorithm.NULL),
    )
    area = tss.TPMT_PUBLIC(
        type=algorithm.ECC,
        nameAlg=algorithm.SHA256,
        objectAttributes=tss.TPMA_OBJECT(attributes),
        authPolicy=tss.TPM2B_DIGEST(policy),
        parameters=tss.TPMU_PUBLIC_PARMS(eccDetail=parameters),
    )
    return tss.TPM2B_PUBLIC(publicArea=area)


def _to_hash(tss: Any, digest: bytes) -> Any:
    return tss.TPMT_HA(hashAlg=tss.TPM2_ALG.SHA256, digest=tss.TPMU_HA(sha256=digest))


def _ecdsa(tss: Any) -> Any:
    scheme = tss.TPMT_SIG_SCHEME(scheme=tss.TPM2_ALG.ECDSA)
    scheme.details.any.hashAlg = tss.TPM2_ALG.SHA256
    return scheme


def _read_point(public: Any) -> PublicKey:
    unique = public.publicArea.unique.ecc
    point = bytes(unique.x).rjust(32, b"\x00") + bytes(unique.y).rjust(32, b"\x00")
    return PublicKey(algorithm=Algorithm.ES256, point=point)


def _spell(signature: Any) -> bytes:
    """Return ``r || s`` of a TPMT_SIGNATURE, with the low ``s``."""
    ecdsa = signature.signature.ecdsa
    r, s = (int.from_bytes(bytes(part), "big") for part in (ecdsa.signatureR, ecdsa.signatureS))
    return build_low_s(Algorithm.ES256, r, s)


def _build_evidence(attest: Any, signature: Any) -> bytes:
    return TpmEvidence(attest=bytes(attest), signature=_spell(signature)).to_bytes()
