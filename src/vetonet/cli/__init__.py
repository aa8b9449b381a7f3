"""The command line: parses arguments, calls a service, prints a table or JSON; errors are one plain line."""
