#!/bin/sh
# The rings two by two: those of whole stacks wait much, so the others find room beside them on 2 cores.
# Acceptance takes the longest, so the shortest goes with it.
# Usage: infra/test.sh BIN [pytest's arguments]. Exit status 1 if any test failed.
set -u
bin=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$bin/python" -m pytest "$@" tests/integration tests/faults >"$log" 2>&1 &
beside=$!
"$bin/python" -m pytest "$@" tests/acceptance tests/unit
outcome=$?
wait "$beside" || outcome=1
echo
echo "Integration and fault tests, run meanwhile:"
cat "$log"
[ "$outcome" -eq 0 ]
