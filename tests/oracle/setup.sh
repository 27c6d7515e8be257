#!/bin/sh
# Makes the Python that the oracles need, outside of the tree, and prints the path of its interpreter. Where it is there already, nothing is fetched.
# RASBORA_ORACLE names another folder; RASBORA_PYTHON another interpreter to make it with (3.11 or newer).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${RASBORA_ORACLE:-${XDG_CACHE_HOME:-$HOME/.cache}/rasbora/oracle}
python=${RASBORA_PYTHON:-python3}

if ! cmp -s "$here/requirements.txt" "$folder/requirements.txt"; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$python cannot make a virtual environment. On Debian: apt-get install python3 python3-venv" >&2
        exit 3
    fi
    "$python" -m venv --clear "$folder" >&2
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
    PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 "$folder/bin/python" -c 'import oracles'
    cp "$here/requirements.txt" "$folder/requirements.txt"
fi
echo "$folder/bin/python"
