"""Protobuf messages to domain values and back; malformed ones are refused before the core."""
