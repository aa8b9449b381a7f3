"""Keys, COSE_Sign1, FROST(Ed25519) and its key generation, Merkle hashing, Pedersen commitments."""
