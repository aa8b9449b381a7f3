"""FROST(Ed25519, SHA-512) of RFC 9591, and key generation without a dealer.

``k`` of ``n`` participants make one Ed25519 signature that anybody can verify; fewer cannot, and whoever
sends a bad contribution is named.
"""

from __future__ import annotations

from vetonet.crypto.frost.aggregation import aggregate, verify_share, verify_signers
from vetonet.crypto.frost.dkg import (
    Round1Secret,
    Round2Secret,
    compute_public_key_package,
    compute_transcript_digest,
    finish,
    generate_round1,
    generate_round2,
    verify_echoes,
    verify_round1,
    verify_round2,
)
from vetonet.crypto.frost.group import Element, Scalar
from vetonet.crypto.frost.keys import (
    GroupPublicKey,
    Identifier,
    KeyShare,
    PublicKeyPackage,
)
from vetonet.crypto.frost.nonces import SigningCommitments, SigningNonces, commit
from vetonet.crypto.frost.packages import ProofOfKnowledge, Round1Package, Round2Package
from vetonet.crypto.frost.signing import (
    BindingFactor,
    SignatureShare,
    SigningPackage,
    sign,
)

__all__ = [
    "BindingFactor",
    "Element",
    "GroupPublicKey",
    "Identifier",
    "KeyShare",
    "ProofOfKnowledge",
    "PublicKeyPackage",
    "Round1Package",
    "Round1Secret",
    "Round2Package",
    "Round2Secret",
    "Scalar",
    "SignatureShare",
    "SigningCommitments",
    "SigningNonces",
    "SigningPackage",
    "aggregate",
    "commit",
    "compute_public_key_package",
    "compute_transcript_digest",
    "finish",
    "generate_round1",
    "generate_round2",
    "sign",
    "verify_echoes",
    "verify_round1",
    "verify_round2",
    "verify_share",
    "verify_signers",
]
