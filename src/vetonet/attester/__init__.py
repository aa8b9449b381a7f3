"""The sans-I/O machine of one chip's life: device key, meter, report chain and licence gate."""
