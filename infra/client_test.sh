#!/bin/sh
# `make client-test`: the client as its users have it, its wheel in a virtual environment without the server, and its
# tests against a real stack.
# Usage: sh infra/client_test.sh BIN FOLDER      (BIN: the virtual environment's bin folder; FOLDER: made anew)
set -eu
bin=$(cd "$1" && pwd)
folder=$2
most_kb=25000 # what is promised to those who install it, without the bytecode that Python adds

rm -rf "$folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
export VIRTUAL_ENV="$folder/venv"
"$bin/uv" venv --quiet --python "$bin/python" "$VIRTUAL_ENV"
(cd client && "$bin/hatchling" build -t wheel -d "$folder" >/dev/null 2>&1)
"$bin/uv" pip sync --quiet --require-hashes requirements/client.lock
"$bin/uv" pip install --quiet --no-index --no-deps "$folder"/voxmood-*.whl
size_kb=$(du -sk "$VIRTUAL_ENV/lib" | cut -f1)
echo "The client takes $((size_kb / 1000)) MB installed, with all that it needs, before Python compiles it."
if [ "$size_kb" -ge "$most_kb" ]; then
    echo "That is more than the $((most_kb / 1000)) MB that are promised." >&2
    exit 1
fi
"$VIRTUAL_ENV/bin/voxmood" --version
"$bin/uv" pip install --quiet --require-hashes -r requirements/client-test.lock
exec "$bin/python" -m tests.client_ring "$VIRTUAL_ENV/bin/python"
