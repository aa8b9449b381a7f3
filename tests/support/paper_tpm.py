"""A TPM on paper: what a chip's TPM would say, signed in software, and bytes that a real swtpm said.

The recordings are of one swtpm that the tests' author ran: over the nonce ``NONCE``, once its firmware
register held ``FIRMWARE``, then, after a reset, ``OTHER_FIRMWARE``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vetonet.attestation.platform import TPM2
from vetonet.attestation.tpm import TpmEvidence, compute_counter_name, compute_pcr_digest, compute_signer_name
from vetonet.crypto.keys import Algorithm, EcdsaSigningKey, PublicKey, SigningKey, generate_ecdsa
from vetonet.crypto.rng import SeededRng

NONCE = b"n" * 32
FIRMWARE, OTHER_FIRMWARE = b"f" * 32, b"g" * 32

RECORDED_KEY = PublicKey(
    algorithm=Algorithm.ES256,
    point=bytes.fromhex(
        "817cb5f0a075b01cc711d83c4ea7282e8a0d63dce544488779bcf10c9e024650bd52e5964cd0b0be1505ee29f6b5c281b260"
        "d193e64e8bb8b349e25f32297742"
    ),
)
RECORDED_QUOTE = bytes.fromhex(
    "a2015891ff54434780180022000b4fd8d414c1eb01f905e6fdba7703ba314ce8c182e131789fae09d7840bdcb0d700206e6e"
    "6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e0000000000000050000000020000000001201910"
    "230016363600000001000b0300010000203597edeb0a7ebe385e1bc6dfde6f1e15d320d281fb474cc2bf6ce4301ab4f40802"
    "5840cc0f8aaf317c3815f07b5937c29a6e0d24078dd1c217059290471f9cbd42125c1e91e83f358dd6ffe8b456f008cfbd57"
    "560bee748dc1a1434e69092f8dde3c41"
)
RECORDED_OTHER_QUOTE = bytes.fromhex(
    "a2015891ff54434780180022000b4fd8d414c1eb01f905e6fdba7703ba314ce8c182e131789fae09d7840bdcb0d700206e6e"
    "6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e0000000000000062000000030000000001201910"
    "230016363600000001000b0300010000200de1184f4d512cbd3af0b3215a2858cb74a200ece98ed3317be40b534154883502"
    "5840cbcfd5b8b926b30f856b022de2b5d34b28f7730c99299ad69617de633e4f22a51b4bc7497b07fab4850eb51c13819151"
    "6e2dcb632cb55f3b76aee4422e9e0f0d"
)
RECORDED_COUNT_2 = bytes.fromhex(
    "a2015895ff54434780140022000b4fd8d414c1eb01f905e6fdba7703ba314ce8c182e131789fae09d7840bdcb0d700206e6e"
    "6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e0000000000000052000000020000000001201910"
    "23001636360022000bafa9627e9c87fa8ae2389c11e3268cc68fe1abf9c1055f434dfc30fa33288d00000000080000000000"
    "000002025840f146e180c98ca352ea1fe458639327737b305c1b6d7e5f3075cb6ca368e77e8c619e09d679d307465c2aa728"
    "9ad84382a918d3d2c60da74c54ee7127771ea515"
)
RECORDED_COUNT_3 = bytes.fromhex(
    "a2015895ff54434780140022000b4fd8d414c1eb01f905e6fdba7703ba314ce8c182e131789fae09d7840bdcb0d700206e6e"
    "6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e0000000000000053000000020000000001201910"
    "23001636360022000bafa9627e9c87fa8ae2389c11e3268cc68fe1abf9c1055f434dfc30fa33288d00000000080000000000"
    "000003025840fefcc358d4deb338ec30865961b34c09ca69c9cc4410a9d14eebf784cbbd4b9e72b4a1b86dc92cceebea5326"
    "b2e36cbf60d410150e06e91e8a663efb375a51be"
)

CLOCK = bytes.fromhex("0000000000000050000000020000000001")
VERSION = bytes.fromhex("2019102300163636")


@dataclass(slots=True, kw_only=True)
class PaperTpm:
    """A secure element of kind TPM2; ``state`` is what a thief could copy and put back.

    Attributes:
        count: of its monotonic counter.
        firmware_digest: what its register holds.
    """

    device_key: EcdsaSigningKey = field(default_factory=lambda: generate_ecdsa(SeededRng(b"paper tpm")))
    count: int = 1
    firmware_digest: bytes = bytes(32)
    kind: str = TPM2

    @property
    def public_key(self) -> PublicKey:
        return self.device_key.public_key

    @property
    def platform(self) -> PaperTpm:
        return self

    def sign(self, message: bytes) -> bytes:
        return self.device_key.sign(message)

    def start(self, firmware_digest: bytes, seed: bytes) -> SigningKey:
        self.firmware_digest = firmware_digest
        return generate_ecdsa(SeededRng(seed))

    def quote(self, nonce: bytes) -> bytes:
        return seal(build_quote(self.public_key, nonce, self.firmware_digest), self.device_key)

    def advance(self, nonce: bytes) -> bytes:
        self.count += 1
        return seal(build_count(self.public_key, nonce, self.count), self.device_key)


def seal(attest: bytes, key: EcdsaSigningKey) -> bytes:
    """The evidence that these bytes under this key are."""
    return TpmEvidence(attest=attest, signature=key.sign(attest)).to_bytes()


def build_head(kind: int, key: PublicKey, nonce: bytes, clock: bytes = CLOCK) -> bytes:
    """A TPMS_ATTEST up to what is attested."""
    name = compute_signer_name(key)
    sized = len(name).to_bytes(2, "big") + name + len(nonce).to_bytes(2, "big") + nonce
    return bytes.fromhex("ff544347") + kind.to_bytes(2, "big") + sized + clock + VERSION


def build_quote(key: PublicKey, nonce: bytes, firmware_digest: bytes, clock: bytes = CLOCK) -> bytes:
    """The TPMS_ATTEST of a quote."""
    selected = bytes.fromhex("00000001000b030001000020")
    return build_head(0x8018, key, nonce, clock) + selected + compute_pcr_digest(firmware_digest)


def build_count(
    key: PublicKey, nonce: bytes, count: int, *, name: bytes | None = None, clock: bytes = CLOCK
) -> bytes:
    """The TPMS_ATTEST of a certified counter."""
    name = compute_counter_name() if name is None else name
    contents = bytes.fromhex("00000008") + count.to_bytes(8, "big")
    return build_head(0x8014, key, nonce, clock) + len(name).to_bytes(2, "big") + name + contents
