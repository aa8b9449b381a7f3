"""The sans-I/O machine of one proposal's life, from vote to licence, and the ledger over all of them."""
