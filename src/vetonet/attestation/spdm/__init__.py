"""Evidence of real silicon: SPDM 1.1 measurement reports of GPUs and switches, and what vouches for them."""
