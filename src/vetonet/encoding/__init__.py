"""The only way to make bytes to sign: deterministic CBOR and records with one spelling."""
