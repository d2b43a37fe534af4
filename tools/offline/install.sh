#!/bin/sh
# Installs sealer on a machine without internet, or removes it: install.sh --help
# Finds a Python, and leaves the rest to install.py. SEALER_PYTHON names another than those on PATH.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
checked='import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 14)))'
seen=
for python in ${SEALER_PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    command -v "$python" >/dev/null 2>&1 || continue
    # -I: nothing of the user's environment; -B: nothing is written beside the installer.
    if "$python" -I -c "$checked" 2>/dev/null; then
        exec "$python" -I -B "$here/install.py" "$@"
    fi
    seen="$seen $python ($("$python" --version 2>&1 | head -n 1))"
done
{
    echo "install.sh: sealer needs Python 3.11, 3.12, 3.13 or 3.14; found: ${seen:- none}"
    echo "  Install one (Debian: apt-get install python3), or name one: SEALER_PYTHON=/path/to/python3 $0"
} >&2
exit 1
