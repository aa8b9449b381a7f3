"""The dashboard: read-only pages over what the transparency log already publishes."""
