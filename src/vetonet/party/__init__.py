"""A party: its keys and founding, its view of the log, its client of the coordinator, its daemon and peers."""
