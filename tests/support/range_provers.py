"""Provers that do not keep to the protocol: one that knows no secret, and some that lie about theirs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from vetonet.crypto import secp256k1
from vetonet.crypto.bulletproofs import challenges, prover
from vetonet.crypto.bulletproofs.curve import Secp256k1Group
from vetonet.crypto.bulletproofs.group import require_point
from vetonet.crypto.bulletproofs.inner_product import prove_inner_product
from vetonet.crypto.bulletproofs.layout import RangeProof, encode_proof
from vetonet.crypto.bulletproofs.nonces import draw_masks
from vetonet.crypto.bulletproofs.prover import Witness
from vetonet.crypto.bulletproofs.scalars import compute_inner_product, compute_powers
from vetonet.crypto.bulletproofs.transcript import Transcript
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.secp256k1 import ORDER, Point

GROUP = Secp256k1Group()


class ProgrammedTranscript:
    """Challenges chosen beforehand: it hears nothing, so whoever knows the seed knows every challenge."""

    def __init__(self, seed: bytes, counts: Counter[bytes] | None = None) -> None:
        self.seed, self.counts = seed, Counter(counts)

    def append(self, label: bytes, data: bytes) -> None:
        """Stay deaf."""

    def compute_challenge(self, label: bytes) -> int:
        self.counts[label] += 1
        return hash_to_scalar(self.seed, label, self.counts[label])

    def copy(self) -> ProgrammedTranscript:
        return ProgrammedTranscript(self.seed, self.counts)


def hash_to_scalar(seed: bytes, label: bytes, index: int) -> int:
    wide = hashlib.sha512(seed + label + b"/" + index.to_bytes(4, "big")).digest()
    return int.from_bytes(wide, "big") % (ORDER - 1) + 1


def add_products(*terms: tuple[int, Point]) -> Point:
    scalars, points = zip(*terms, strict=True)
    return require_point(GROUP.multiply_public([scalar % ORDER for scalar in scalars], points))


def simulate(commitment: bytes, *, bits: int, seed: bytes, transcript: ProgrammedTranscript) -> bytes:
    """Return an accepted proof about any point at all, without a value or a blinding.

    The simulator of the zero-knowledge property (proof of theorem 3 of the paper): everything that is sent
    is drawn evenly, but S and T1, which are what the two equations demand after the challenges.
    """
    said = transcript.copy()
    y, z, x, w = (said.compute_challenge(label) for label in (b"y", b"z", b"x", b"w"))
    point, h, g = GROUP.decode_point(commitment), GROUP.value_generator, GROUP.blinding_generator
    generators = GROUP.compute_generators(bits, 1)

    def draw(label: bytes, count: int = 1) -> list[int]:
        return [hash_to_scalar(seed, label, index) for index in range(count)]

    left, right = draw(b"l", bits), draw(b"r", bits)
    (tau,), (mu,) = draw(b"tau"), draw(b"mu")
    a, t2 = (secp256k1.multiply_generator_secretly(draw(label)[0]) for label in (b"A", b"T2"))
    t = compute_inner_product(left, right, ORDER)
    delta = (z - z * z) * sum(compute_powers(y, bits, ORDER)) - z**3 * (2**bits - 1)
    x_inverse, y_inverses = pow(x, -1, ORDER), compute_powers(pow(y, -1, ORDER), bits, ORDER)
    t1 = add_products(
        (x_inverse * (t - delta), h), (x_inverse * tau, g), (-x_inverse * z * z, point), (-x, t2)
    )
    s = add_products(
        (x_inverse * mu, g),
        (-x_inverse, a),
        *((x_inverse * (value + z), base) for value, base in zip(left, generators.left, strict=True)),
        *(
            (x_inverse * (power * (value - z * z * 2**place) - z), base)
            for place, (value, power, base) in enumerate(
                zip(right, y_inverses, generators.right, strict=True)
            )
        ),
    )
    inner = prove_inner_product(GROUP, said, generators, left=left, right=right, y=y, w=w)
    return encode_proof(
        GROUP,
        RangeProof(
            bit_commitment=a,
            mask_commitment=s,
            first_commitment=t1,
            second_commitment=t2,
            evaluation=t,
            evaluation_blinding=tau,
            vector_blinding=mu,
            inner_product=inner,
        ),
    )


def prove_falsely(
    witness: Witness, digits: Sequence[int], complements: Sequence[int], transcript: Transcript
) -> bytes:
    """Return what an honest prover would send, had it these digits and complements for its bits.

    An honest one has binary digits that spell the value, and digits less one for complements.
    """
    said, bits = transcript.copy(), len(digits)
    generators = GROUP.compute_generators(bits, 1)
    encode = GROUP.encode_point
    commitment = encode(prover._commit(GROUP, witness))
    challenges.announce_range(said, bits=bits, count=1, commitments=[commitment])
    masks = draw_masks(ORDER, SeededRng(b"liar"), secret=b"", transcript=said, length=bits)
    a = add_products(
        (masks.bit_blinding, GROUP.blinding_generator),
        *zip(digits, generators.left, strict=True),
        *zip(complements, generators.right, strict=True),
    )
    s = prover._commit_masks(prover._Setting(group=GROUP, generators=generators, bits=bits), masks)
    found = challenges.challenge_bits(said, bits=encode(a), masks=encode(s))
    y_powers, z = compute_powers(found.y, bits, ORDER), found.z
    polynomials = prover._Polynomials(
        l0=[digit - z for digit in digits],
        l1=list(masks.left),
        r0=[
            power * (complement + z) + z * z * 2**place
            for place, (power, complement) in enumerate(zip(y_powers, complements, strict=True))
        ],
        r1=[power * mask for power, mask in zip(y_powers, masks.right, strict=True)],
    )
    t1, t2 = (prover._commit(GROUP, term) for term in prover._compute_terms(polynomials, masks, ORDER))
    x = challenges.challenge_point(said, first=encode(t1), second=encode(t2))
    left = prover._evaluate(polynomials.l0, polynomials.l1, x, ORDER)
    right = prover._evaluate(polynomials.r0, polynomials.r1, x, ORDER)
    t = compute_inner_product(left, right, ORDER)
    tau = (masks.second_blinding * x * x + masks.first_blinding * x + z * z * witness.blinding) % ORDER
    mu = (masks.bit_blinding + masks.mask_blinding * x) % ORDER
    w = challenges.challenge_product(said, scalars=[GROUP.encode_scalar(number) for number in (t, tau, mu)])
    inner = prove_inner_product(GROUP, said, generators, left=left, right=right, y=found.y, w=w)
    return encode_proof(
        GROUP,
        RangeProof(
            bit_commitment=a,
            mask_commitment=s,
            first_commitment=t1,
            second_commitment=t2,
            evaluation=t,
            evaluation_blinding=tau,
            vector_blinding=mu,
            inner_product=inner,
        ),
    )
