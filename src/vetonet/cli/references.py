"""Reference values in words: what a motion on firmware is about, as the log holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from vetonet.attestation.reference_values import ReferenceValues, UpdatePurpose, open_reference_values
from vetonet.crypto.statement import read_kind
from vetonet.errors import VetonetError

if TYPE_CHECKING:
    from vetonet.party.logview import LogView
    from vetonet.policy.matter import Matter

APPROVING: Final = tuple(purpose.value for purpose in UpdatePurpose)
"""What approves the reference values of other firmware; they say themselves which of the two it takes."""

NOT_LOGGED: Final = "the log holds no reference values of this digest"


def find_reference(view: LogView, digest: bytes) -> ReferenceValues | None:
    """Return the reference values of this digest that a maker of the treaty signed, or None for none."""
    terms = [treaty.statement for treaty in (*view.ledger.predecessors, view.ledger.treaty)]
    roots = {maker.root_key.key_id: maker.root_key for known in terms for maker in known.endorsers}
    for leaf_index in range(view.tree_size):
        data = view.leaf(leaf_index)
        if read_kind(data) != ReferenceValues.TYPE:
            continue
        try:
            signed = open_reference_values(data, roots)
        except VetonetError:  # a verifier of the record names it; for this question it is nothing
            continue
        if signed.payload_digest == digest:
            return signed.statement
    return None


def describe_reference(view: LogView, matter: Matter) -> dict[str, Any]:
    """Return what a motion on firmware is about, as plain values; nothing of other matters."""
    from vetonet.policy.motion import Motion

    if not isinstance(matter, Motion) or matter.action not in APPROVING:
        return {}
    values = find_reference(view, matter.subject_digest)
    if values is None:
        return {"reference": None}
    return {
        "reference": {
            "maker": values.endorser_id,
            "model": values.model,
            "number": values.number,
            "purpose": values.purpose.value,
            "components": [
                {"name": c.name, "version": c.version, "svn": c.svn, "sha256": c.digest.hex()}
                for c in values.firmware.components
            ],
        }
    }


def list_reference_rows(described: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a described motion says of firmware as rows of a table for people."""
    if "reference" not in described:
        return []
    shown = described["reference"]
    if shown is None:
        return [("firmware", f"{NOT_LOGGED}; a resolution before them approves nothing")]
    purpose = shown["purpose"]
    if purpose != described["action"]:
        purpose += f"; a motion on {described['action']} approves nothing of it"
    return [
        ("firmware", f"{shown['maker']}, {shown['model']}, number {shown['number']}"),
        ("purpose", purpose),
        *(
            ("component", f"{c['name']} {c['version']}, svn {c['svn']}, {c['sha256']}")
            for c in shown["components"]
        ),
    ]
