"""vetonet: the reference prototype of a multilateral compute veto."""

__version__ = "0.1.0"
