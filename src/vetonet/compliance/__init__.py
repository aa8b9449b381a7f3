"""The verification core: judges a whole bundle offline, in numbered steps, with a reason for each claim."""
