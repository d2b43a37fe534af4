#!/bin/sh
# Removes the sealer that is installed in the directory of this file; ~/.sealer, with clusters and images, stays.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
for python in "$here/current/bin/python" python3; do
    ! command -v "$python" >/dev/null 2>&1 || exec "$python" -I -B "$here/install.py" --uninstall --prefix "$here" "$@"
done
echo "uninstall.sh: there is no python3 on this machine; remove $here, and the link to it: ls -l /usr/local/bin/sealer" >&2
exit 1
