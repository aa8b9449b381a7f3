"""Reads a report of ours with other people's libraries: prints its claims, or ends with 1 where refused.

    python read_report.py cwt|pycose REPORT KEY.pem KID

Run by an interpreter of an environment of their own, in which nothing of ours is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cbor2

REFUSED = 1


def read_with_cwt(report: bytes, pem: bytes, kid: bytes) -> dict[int, object]:
    import cwt  # noqa: PLC0415  (only one of the two is wanted at a time)

    key = cwt.COSEKey.from_pem(pem.decode(), kid=kid)
    try:
        return dict(cwt.decode(report, key))
    except (cwt.VerifyError, cwt.DecodeError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(REFUSED)


def read_with_pycose(report: bytes, pem: bytes, kid: bytes) -> dict[int, object]:
    from pycose.headers import KID  # noqa: PLC0415
    from pycose.keys import CoseKey  # noqa: PLC0415
    from pycose.messages import Sign1Message  # noqa: PLC0415

    try:
        message = Sign1Message.decode(report)
        message.key = CoseKey.from_pem_public_key(pem.decode())
        if not message.verify_signature():
            sys.exit(REFUSED)
    except (AttributeError, TypeError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(REFUSED)
    assert message.phdr[KID] == kid
    return dict(cbor2.loads(message.payload))


def main() -> None:
    library, report, pem, kid = sys.argv[1:]
    read = {"cwt": read_with_cwt, "pycose": read_with_pycose}[library]
    claims = read(Path(report).read_bytes(), Path(pem).read_bytes(), bytes.fromhex(kid))
    plain = json.dumps({str(label): value for label, value in claims.items()}, default=spell)
    sys.stdout.write(f"{plain}\n")


def spell(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    assert isinstance(value, tuple)
    return list(value)


if __name__ == "__main__":
    main()
