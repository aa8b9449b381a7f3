"""The verification core: judge a whole bundle offline, in numbered steps, with reason codes."""
