"""The treaty: its roster, bands in FLOP, quorum rules, and the decision they give over signed ballots."""
