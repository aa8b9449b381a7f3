"""A party's side: its key share and ballots kept safe, and the client that talks to the coordinator."""
