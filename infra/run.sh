#!/bin/sh
# What `make run` does: start the stack, classify an archive (or a demonstration), show the results
# and where everything is. The stack goes on running.
set -u
voxmood=$1/voxmood
archive=$2

fail() {
    echo "make run: $1" >&2
    exit 1
}

if [ -n "$archive" ] && [ ! -r "$archive" ]; then
    fail "ARCHIVE=$archive does not exist or cannot be read."
fi
"$voxmood" up --detach >/dev/null || fail "the stack did not start; the sentence above says why."
if [ -n "$archive" ]; then
    if ! job=$("$voxmood" submit "$archive" --wait); then
        [ -n "$job" ] || fail "$archive could not be sent. The stack runs on; end it with $voxmood down"
        fail "job $job did not end well; see $voxmood status $job"
    fi
    "$voxmood" results "$job" --limit 20 || fail "the results of job $job could not be read."
    echo "All rows as a file: $voxmood results $job --format csv --output results.csv"
else
    "$voxmood" demo || fail "the demonstration failed. The stack runs on; end it with $voxmood down"
fi
echo
"$voxmood" up --detach 2>/dev/null # it runs: this prints where
