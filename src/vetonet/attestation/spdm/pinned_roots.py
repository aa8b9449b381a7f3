"""The maker's two root keys, pinned: what is trusted where a verifier names no roots of its own.

Keys, not certificates: a certificate of the same name with another key is nothing. Both are published with
the maker's own verifier (github.com/NVIDIA/nvtrust, ``verifier_device_root.pem`` and
``verifier_RIM_root.pem`` under guest_tools/gpu_verifiers/local_gpu_verifier/src/verifier/certs); whoever
wants to be sure compares them there.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from vetonet.attestation.maker_root import MakerRoot, RootRole
from vetonet.crypto.keys import PublicKey


def _pin(
    name: str, attributes: tuple[tuple[x509.ObjectIdentifier, str], ...], spki: str, role: RootRole
) -> MakerRoot:
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    key = PublicKey.from_bytes(bytes.fromhex(spki))
    return MakerRoot(key=key, name=name, subject=subject.public_bytes(), role=role)


NVIDIA_DEVICES: Final = _pin(
    "NVIDIA Device Identity CA",
    ((NameOID.COMMON_NAME, "NVIDIA Device Identity CA"), (NameOID.ORGANIZATION_NAME, "NVIDIA")),
    "3076301006072a8648ce3d020106052b8104002203620004"
    "0e4c14a33bf8a5626658db4129607e4cbf4519c4412716f4d0d917c4978005bdeabeaefd57bc66082d718a4f8b6052e1"
    "516ee8a7c422b84de857071bb58fd395bea0cfa1c63ee7c80d6bd63901d91cbbd187d3857dc16b5cceaf238ff8c27dbd",
    RootRole.DEVICES,
)
"""Signs the authorities that certify GH100 GPUs and LS10 switches."""

NVIDIA_MANIFESTS: Final = _pin(
    "NVIDIA CoRIM signing Root CA",
    (
        (NameOID.COUNTRY_NAME, "US"),
        (NameOID.ORGANIZATION_NAME, "NVIDIA"),
        (NameOID.COMMON_NAME, "NVIDIA CoRIM signing Root CA"),
    ),
    "3076301006072a8648ce3d020106052b8104002203620004"
    "b840b28bdbcd33e230da57d4cf2065747030682d4717b4c2829d7641c1325139b74da831c2be3c779e7e2b6548956608"
    "0e4ecd94021075c57f15fedeb862c8f906ae8fddc7b12238597dbdf0fa56e78453833f6d0be43af3871a47f057584799",
    RootRole.MANIFESTS,
)
"""Signs the authorities that sign reference manifests."""

PINNED_ROOTS: Final = (NVIDIA_DEVICES, NVIDIA_MANIFESTS)
