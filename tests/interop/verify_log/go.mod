module vetonet/tests/interop/verify_log

go 1.17

require golang.org/x/mod v0.7.0
