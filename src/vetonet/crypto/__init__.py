"""Keys, COSE statements, FROST, Merkle hashing and commitments."""
