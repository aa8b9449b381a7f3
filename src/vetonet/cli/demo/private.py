"""What the operator on stage knows of its runs and shows nobody: models, data, hyper-parameters, plans.

A proposal carries one digest of it. The demonstration can plant a text, a canary, in every such field:
whoever finds it anywhere outside the operator's own folder has found a leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from vetonet.policy.specification import FieldName, Specification
from vetonet.units import Rng

MIN_CANARY_CHARS: Final = 8
"""A shorter text may stand somewhere by chance."""
MAX_CANARY_CHARS: Final = 1024

MODEL: Final = "model"

_COMMON: Final[Mapping[str, str]] = MappingProxyType(
    {
        MODEL: "meridian-405b, a dense transformer of 126 layers and 405 billion parameters",
        FieldName.DATA: "c4/en 3.0.1, validation split customised; tokenised with a vocabulary of 128,256",
        FieldName.HYPER_PARAMETERS: "sequence 8192, global batch 1152, peak learning rate 8e-5, cosine decay",
        FieldName.HARDWARE_PLAN: "64 nodes of 8 H100, tensor parallel 8, pipeline parallel 9",
        FieldName.EVALUATIONS: "validation log perplexity to 5.6; capability and misuse suite of the parties",
        FieldName.LINEAGE: "none",
    }
)

_OTHERWISE: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "serving": {
            FieldName.DATA: "requests of customers, kept for an hour and by no name",
            FieldName.HYPER_PARAMETERS: "context of 8192 tokens, temperature 0.6, batches of up to 64",
        },
        "frontier run": {
            MODEL: "meridian-next, a successor of meridian-405b",
            FieldName.DATA: "15.6 trillion tokens of our own collection, cut-off in December",
            FieldName.HARDWARE_PLAN: "16,384 H100 in four halls",
        },
    }
)


def build_specification(run: str, rng: Rng, canary: str = "") -> Specification:
    """Return the private specification of a run on stage.

    Args:
        run: which one, by the name that the proposals give it.
        rng: for the secret that hides its fields.
        canary: planted in every field, with nothing else in those that would be empty; "" for none.
    """
    texts = {**_COMMON, **_OTHERWISE.get(run, {})}
    return Specification.generate({name: plant(text, canary).encode() for name, text in texts.items()}, rng)


def plant(text: str, canary: str) -> str:
    """Return a private text with the canary in it, if there is one."""
    return f"{text} {canary}" if canary else text
