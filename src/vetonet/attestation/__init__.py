"""Appraisal of a device's evidence against endorsements, reference values and a nonce (RFC 9334)."""
