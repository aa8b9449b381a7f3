"""What a verifier may learn of counts without seeing them: hidden totals, bounds and proofs (VN-18)."""
