"""FROST(Ed25519, SHA-512) of RFC 9591, and the life of its keys without a trusted dealer.

``k`` of ``n`` participants make one Ed25519 signature that anybody can verify; fewer cannot, and whoever
sends a bad contribution is named. Keys are generated, handed to another group, refreshed and repaired
without ever being in one place.
"""

from __future__ import annotations

from vetonet.crypto.frost.aggregation import aggregate, verify_share, verify_signers
from vetonet.crypto.frost.dkg import (
    Round1Secret,
    Round2Secret,
    compute_public_key_package,
    compute_transcript_digest,
    evaluate_round2,
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
from vetonet.crypto.frost.packages import (
    ProofOfKnowledge,
    RepairCommitment,
    RepairSum,
    RepairSummand,
    Round1Package,
    Round2Package,
    SecretPackage,
)
from vetonet.crypto.frost.refresh import plan_refresh
from vetonet.crypto.frost.repair import (
    Repair,
    RepairRound1,
    finish_repair,
    generate_repair_round1,
    generate_repair_round2,
    verify_repair_commitments,
    verify_repair_echoes,
    verify_repair_round1,
    verify_sum,
    verify_summand,
)
from vetonet.crypto.frost.resharing import (
    ReshareRound1,
    ReshareSecret,
    Resharing,
    compute_reshared_package,
    finish_resharing,
    generate_reshare_round1,
    generate_reshare_round2,
    verify_reshare_echoes,
    verify_reshare_packages,
    verify_reshare_round1,
)
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
    "Repair",
    "RepairCommitment",
    "RepairRound1",
    "RepairSum",
    "RepairSummand",
    "ReshareRound1",
    "ReshareSecret",
    "Resharing",
    "Round1Package",
    "Round1Secret",
    "Round2Package",
    "Round2Secret",
    "Scalar",
    "SecretPackage",
    "SignatureShare",
    "SigningCommitments",
    "SigningNonces",
    "SigningPackage",
    "aggregate",
    "commit",
    "compute_public_key_package",
    "compute_reshared_package",
    "compute_transcript_digest",
    "evaluate_round2",
    "finish",
    "finish_repair",
    "finish_resharing",
    "generate_repair_round1",
    "generate_repair_round2",
    "generate_reshare_round1",
    "generate_reshare_round2",
    "generate_round1",
    "generate_round2",
    "plan_refresh",
    "sign",
    "verify_echoes",
    "verify_repair_commitments",
    "verify_repair_echoes",
    "verify_repair_round1",
    "verify_reshare_echoes",
    "verify_reshare_packages",
    "verify_reshare_round1",
    "verify_round1",
    "verify_round2",
    "verify_share",
    "verify_signers",
    "verify_sum",
    "verify_summand",
]
