"""The sans-I/O machine of one proposal's life, from Proposal to Licence, as one transition table."""
