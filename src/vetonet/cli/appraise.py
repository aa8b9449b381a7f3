"""``vetonet appraise``: evidence of chips, ours and others', as a group of commands."""

from __future__ import annotations

import click

from vetonet.cli.appraise_eat import eat
from vetonet.cli.appraise_nvidia import nvidia_spdm
from vetonet.cli.output import examples


@click.group(
    epilog=examples(
        "vetonet appraise eat evidence.cbor --roots roots.pem --reference reference.cose --nonce 5f0e3a1b...",
        "vetonet appraise nvidia-spdm gpu_evidence.json --nonce 4760e305...",
    )
)
def appraise() -> None:
    """Appraise the evidence of chips offline: what is it worth?"""


appraise.add_command(eat)
appraise.add_command(nvidia_spdm)
