"""The transparency log as values: leaves, checkpoints, inclusion and consistency proofs (RFC 9162)."""
