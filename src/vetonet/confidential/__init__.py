"""What a verifier may learn of a count without seeing it: commitments and proofs about their totals."""
