#!/bin/sh
# Three chains of rings side by side, since those of whole stacks wait much and others find room beside them on 2 cores:
# the acceptance ring, the unit tests, and the integration ring with the faults behind it.
# Usage: infra/test.sh BIN [pytest's arguments]. Exit status 1 if any test failed. With COVERAGE=1 it measures which lines
# of the product run in the tests' own processes; the report is build/coverage/index.html.
set -u
bin=$1
shift
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
pytest="-m pytest"
if [ -n "${COVERAGE:-}" ]; then
    pytest="-m coverage run -m pytest"
    rm -rf build/coverage
    # Python's own way of watching lines, from 3.12 on, costs next to nothing.
    if "$bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then export COVERAGE_CORE=sysmon; fi
fi

inside() {
    "$bin/python" $pytest "$@" tests/integration
    outcome=$?
    "$bin/python" $pytest "$@" tests/faults || outcome=1
    return $outcome
}
"$bin/python" $pytest "$@" tests/unit >"$logs/units" 2>&1 &
units=$!
inside "$@" >"$logs/inside" 2>&1 &
inside=$!
"$bin/python" $pytest "$@" tests/acceptance
outcome=$?
wait "$units" || outcome=1
wait "$inside" || outcome=1
for name in units inside; do
    echo
    case $name in
    units) echo "Unit tests, run meanwhile:" ;;
    *) echo "Integration tests and faults, run meanwhile:" ;;
    esac
    cat "$logs/$name"
done
if [ -n "${COVERAGE:-}" ]; then
    "$bin/python" -m coverage combine --quiet && "$bin/python" -m coverage html --quiet
    echo "The tests ran $("$bin/python" -m coverage report --format=total) % of the lines: build/coverage/index.html"
fi
[ "$outcome" -eq 0 ]
