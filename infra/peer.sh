#!/bin/sh
# Makes the environment of `make bench-peer`, once for each requirements/peer.txt. Wheels only.
# Usage: PEER_INDEX=ADDRESS sh infra/peer.sh BIN ENVIRONMENT      (BIN: the bin folder whose Python it gets)
set -eu
bin=$1
venv=$2

if [ "$venv/.ready" -nt requirements/peer.txt ]; then exit 0; fi
if [ -z "${PEER_INDEX:-}" ]; then
    echo "torch's builds for the CPU are not in the package index. Name PyTorch's own index of them in PEER_INDEX." >&2
    exit 1
fi
echo "Setting up $venv (once; 1.2 GB, some three minutes)"
"$bin/python" -m venv --clear "$venv"
install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "$@"
}
# Alone: the other packages are not looked for there.
install --no-deps --extra-index-url "$PEER_INDEX" "$(grep '^torch==' requirements/peer.txt)"
install -r requirements/peer.txt
touch "$venv/.ready"
