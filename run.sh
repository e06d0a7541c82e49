#!/usr/bin/env bash
# Finds a Python 3.11 to 3.13 and hands everything to run.py; set PYTHON to name one.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
for python in ${PYTHON:+"$PYTHON"} python3 python python3.13 python3.12 python3.11; do
  if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then
    exec "$python" "$root/run.py" "$@"
  fi
done
echo "run.sh: needs Python 3.11, 3.12 or 3.13, found none; install one, or name it: PYTHON=/path/to/python ./run.sh" >&2
exit 2
