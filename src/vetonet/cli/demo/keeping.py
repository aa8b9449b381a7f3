"""What the demonstration leaves of its operator: the folder of which ``vetonet export`` makes a bundle."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vetonet.attestation.report import ComputeReport
from vetonet.cli.demo.exporting import find_operator_key
from vetonet.cli.demo.play import Play
from vetonet.cli.demo.private import plant
from vetonet.cli.export import OPERATOR_FOLDER
from vetonet.cli.files import require_empty
from vetonet.compliance.bundle import Bundle, DeviceSet
from vetonet.compliance.trust_root import TrustRoot
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import read_unverified
from vetonet.party.operator_folder import HeldOpening, OperatorFolder
from vetonet.party.secret_files import write_secret
from vetonet.policy.specification import Specification

NOTES_FILE: Final = "private-notes.txt"
"""Only the demonstration writes one, so a folder that holds it is the demonstration's to replace."""

_NOTES: Final = "What nobody else is to read: plans, prices, the names of those who work on the next model."


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """All that the operator on stage keeps.

    Attributes:
        batches: the reports of each batch, with what opens their commitments.
        notes: of no use to anybody else, and private.
    """

    trust_root: TrustRoot
    key: SigningKey = field(repr=False)
    leaves: tuple[bytes, ...] = field(repr=False)
    checkpoint: bytes = field(repr=False)
    checkpoints: tuple[bytes, ...] = field(repr=False)
    device_set: DeviceSet = field(repr=False)
    batches: tuple[tuple[tuple[bytes, ...], tuple[HeldOpening, ...]], ...] = field(repr=False)
    specifications: tuple[Specification, ...] = field(repr=False)
    notes: str = field(repr=False)

    def write(self, parent: Path) -> Path:
        """Return the operator's folder below another, in place of one of an earlier demonstration.

        Raises:
            Failure: something else is there.
            ConfigError: it cannot be written.
        """
        root = parent / OPERATOR_FOLDER
        if (root / NOTES_FILE).is_file():
            shutil.rmtree(root)
        require_empty(root)
        folder = OperatorFolder.create(root, trust_root=self.trust_root, key=self.key)
        folder.keep_log(self.leaves, self.checkpoint)
        folder.keep_device_set(self.device_set)
        for note in self.checkpoints:
            folder.keep_checkpoint(note)
        for number, (reports, openings) in enumerate(self.batches, start=1):
            folder.keep_batch(number, reports, openings)
        for specification in self.specifications:
            folder.keep_specification(specification)
        write_secret(root / NOTES_FILE, self.notes.encode())
        return root


def keep(play: Play, bundle: Bundle) -> Kept:
    """Return what the operator keeps at the end of the play, whose bundle is this one."""
    return Kept(
        trust_root=play.stage.founded.trust_root,
        key=find_operator_key(play),
        leaves=bundle.leaves,
        checkpoint=bundle.checkpoint,
        checkpoints=tuple(play.checkpoints),
        device_set=play.fleet.device_set,
        batches=tuple((reports, _list_openings(play, reports)) for reports in play.batches),
        specifications=tuple(play.stage.specifications),
        notes=plant(_NOTES, play.stage.cast.canary) + "\n",
    )


def _list_openings(play: Play, reports: tuple[bytes, ...]) -> tuple[HeldOpening, ...]:
    found = []
    for report in reports:
        claims = read_unverified(report, ComputeReport)
        told = play.fleet.openings.get((claims.ueid, claims.counter))
        if told is not None:
            found.append(HeldOpening.of(claims.ueid, claims.counter, *told))
    return tuple(found)
