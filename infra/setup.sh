#!/bin/sh
# Makes the virtual environment from the lock: wheels only, hashes checked, bytecode compiled.
# (Without compiled bytecode `import tensorflow` takes 25 s instead of 5.)
set -eu
venv=$1

usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}
python=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if usable "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "voxmood: needs Python 3.11, 3.12 or 3.13 with its venv module (Debian: apt-get install python3-venv)," >&2
    echo "         and found none on PATH. Name one with: make PYTHON=/path/to/python3" >&2
    exit 1
fi

started=$(date +%s)
step() {
    echo "[$1/4, $(($(date +%s) - started)) s] $2"
}

# Both measured with an empty cache; a third of .venv is TensorFlow.
echo "Setting up $venv with $("$python" --version), once, in 4 steps; two to three minutes on 2 cores."
echo "It takes 3.7 GB in $venv, and up to 3.3 GB in uv's cache, for the next time (free here: $(
    df -Ph "$(dirname "$venv")" | awk 'NR == 2 { print $4 }'))."
if [ -x "$venv/bin/uv" ]; then
    step 1 "The virtual environment is there"
else
    step 1 "A virtual environment, and uv to fill it"
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        -r requirements/uv.lock
fi
export VIRTUAL_ENV="$venv"
step 2 "The $(grep -c '^[A-Za-z0-9].*==' requirements/dev.lock) locked packages: 1.1 GB to download; this takes longest"
"$venv/bin/uv" pip sync --quiet --require-hashes --compile-bytecode --link-mode copy requirements/dev.lock
step 3 "voxmood itself"
# From here alone, never by an index: another project could have the client's name there.
"$venv/bin/uv" pip install --quiet --no-index --no-deps --no-build-isolation --editable ./client --editable .
# librosa compiles with numba at first use (26 s for chroma); its cache lies beside it from now on.
step 4 "Compiling librosa's numba kernels"
"$venv/bin/python" -m shared.audio.warmup
touch "$venv/.ready"
echo "Set up in $(($(date +%s) - started)) s; $venv takes $(du -sm "$venv" | cut -f1) MB."
