"""The sans-I/O machine of one proposal's life, from the vote to the licence, and the ledger over all of them."""
