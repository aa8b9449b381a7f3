"""The simulated world: a driver of the real protocol machines on a virtual clock, never a second model."""
