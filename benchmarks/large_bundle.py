"""Bundles of very many reports: made in one process, judged in another, so that its peak memory is its own.

``python large_bundle.py make FILE REPORTS PARTIES TOTALS`` writes a bundle and, beside it, what judges it;
``python large_bundle.py judge FILE`` prints as JSON what that took, beside the bare signatures of as many
reports of that length.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any, Final

from nacl.signing import VerifyKey

from support.bundles import make_scene
from support.world import make_council
from vetonet.attestation.enrolment import AliasEndorsement
from vetonet.compliance.parts import PartKind, PartReader
from vetonet.compliance.trust_root import TrustRoot
from vetonet.compliance.verify import verify_bundle
from vetonet.crypto import cose
from vetonet.crypto.statement import peek, read_unverified
from vetonet.policy.totals import Totals

WINDOWS: Final = 100
CHUNK_BYTES: Final = 2**20
MAX_BARE: Final = 12_500
"""How many bare signatures are timed; each takes as long as the next."""


def make(path: Path, reports: int, parties: int, totals: str) -> None:
    """Write a compliant bundle of so many hourly reports of a hundred hours."""
    council = make_council(parties, parties // 2 + 1, totals=Totals(totals))
    scene = make_scene(chips=reports // WINDOWS, windows=WINDOWS, council=council)
    scene.run()
    if council.treaty.statement.is_confidential:
        scene.prove()
    path.write_bytes(scene.bundle().to_bytes())
    meta = {"treaty": scene.trust_root.treaty_digest.hex(), "now": scene.judged_ms}
    path.with_suffix(".json").write_text(json.dumps(meta), encoding="utf-8")


def judge(path: Path) -> dict[str, Any]:
    """Return what judging a bundle took, and what its bare signatures do."""
    meta = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    root = TrustRoot(treaty_digest=bytes.fromhex(meta["treaty"]), treaty_name="large")
    start = process_time()
    result = verify_bundle(read_chunks(path), root, meta["now"])
    judged_s = process_time() - start
    peak_kib = read_peak_kib()
    bare_s = time_bare(path)
    return {
        "verdict": result.verdict.value,
        "reports": result.report_count,
        "bytes": path.stat().st_size,
        "seconds": round(judged_s, 3),
        "us a report": round(judged_s / result.report_count * 1e6, 1),
        "us a bare signature": round(bare_s * 1e6, 1),
        "ratio to bare PyNaCl": round(bare_s * result.report_count / judged_s, 3),
        "peak megabytes": round(peak_kib / 1024, 1),
    }


def read_peak_kib() -> int:
    """Return the most memory that this process ever held; ``getrusage`` begins with its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) if found else 0


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yield a file in chunks."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def time_bare(path: Path) -> float:
    """Return the seconds of one signature of a report, with nothing left to decode."""
    keys: dict[bytes, VerifyKey] = {}
    signatures: list[tuple[VerifyKey, bytes, bytes]] = []
    for kind, content in PartReader(read_chunks(path)):
        if kind is PartKind.LEAF and peek(content).kind == AliasEndorsement.TYPE:
            alias = read_unverified(content, AliasEndorsement).alias
            keys[alias.key_id] = VerifyKey(alias.point)
        elif kind is PartKind.REPORT and len(signatures) < MAX_BARE:
            parts = cose.split_sign1(content)
            key = keys[cose.parse_header(parts.protected)[cose.LABEL_KID]]
            signatures.append((key, parts.message, parts.signature))
    start = process_time()
    for key, message, signature in signatures:
        key.verify(message, signature)
    return (process_time() - start) / len(signatures)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", file, reports, parties, totals]:
            make(Path(file), int(reports), int(parties), totals)
        case ["judge", file]:
            print(json.dumps(judge(Path(file))))  # noqa: T201  (what the benchmark reads)
        case _:
            sys.exit(__doc__)
