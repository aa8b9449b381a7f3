"""A whole council as processes on one machine: founding, votes, kills, a change of members, a repair."""
