"""The coordinator: a gRPC server that relays, stores and publishes, and that nobody has to trust."""
