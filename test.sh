#!/usr/bin/env bash
# Every check of the project, in its own .venv. All steps run; the exit code is that of the first that failed.
# Arguments go to pytest: ./test.sh tests/scan -k palette; ./test.sh --slow runs the tests marked slow_only too.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

echo "== set up"
bash ./run.sh --set-up --dev || exit $?
programs=.venv/bin
[ -d .venv/Scripts ] && programs=.venv/Scripts
unset PYTHONDONTWRITEBYTECODE
export TF_ENABLE_ONEDNN_OPTS="${TF_ENABLE_ONEDNN_OPTS:-1}"

# Two programs that some tests need, and are skipped without: the independent judge of DICOM objects, and a browser.
needed=()
command -v dciodvfy >/dev/null || needed+=(dicom3tools)
command -v chromium >/dev/null || command -v google-chrome >/dev/null || needed+=(chromium)
if [ "${#needed[@]}" -gt 0 ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  (apt-get update && apt-get install -y --no-install-recommends "${needed[@]}") >/dev/null 2>&1 ||
    echo "== ${needed[*]} cannot be installed; tests that need them are skipped"
fi

failed=0
step() {
  echo "== $*"
  local program=$1 code
  shift
  "$programs/$program" "$@"
  code=$?
  if [ "$code" -ne 0 ]; then
    echo "== FAILED: $program $* (exit code $code)" >&2
    [ "$failed" -ne 0 ] || failed=$code
  fi
}

# A test process that has loaded TensorFlow takes up to 3 GB; two run side by side only where there is room,
# and a file's tests stay in one process, so that a network is traced once.
workers=2
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
free_kilobytes=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo 2>/dev/null)
if [ "$cores" -lt 2 ] || [ "${free_kilobytes:-8000000}" -lt 6000000 ]; then
  workers=0
fi

step ruff check
step ruff format --check
step mypy
step lint-imports
# Last, so that pytest's closing line ends the output.
echo "== pytest -n $workers --dist loadfile $*"
"$programs/python" -m pytest -n "$workers" --dist loadfile "$@"
code=$?
[ "$failed" -ne 0 ] || failed=$code
exit "$failed"
