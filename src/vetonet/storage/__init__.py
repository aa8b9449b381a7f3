"""Append-only journals behind one port: in memory and SQLite; acknowledged means durable."""
