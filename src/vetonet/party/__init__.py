"""A party: keys and founding, its own view of the log, the coordinator's client, the daemon and its peers."""
