#!/usr/bin/env bash
# Every check of the project, in its own .venv. All steps run; the exit code is that of the first that failed.
# Arguments go to pytest: ./test.sh tests/scan -k palette; ./test.sh --slow runs the tests marked slow_only too.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

# Programs that some tests need, and are skipped without: a checker of DICOM objects, a browser, and a PACS.
needed=()
command -v dciodvfy >/dev/null || needed+=(dicom3tools)
command -v chromium >/dev/null || command -v google-chrome >/dev/null || needed+=(chromium)
if [ ! -x /usr/sbin/Orthanc ]; then
  needed+=(orthanc orthanc-dicomweb)
  # The package would start a PACS for the network; tests start theirs on loopback.
  [ ! -d /run/systemd/system ] || [ "$(id -u)" != 0 ] || systemctl mask --quiet orthanc
fi
installing=
if [ "${#needed[@]}" -gt 0 ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  (apt-get update && apt-get install -y --no-install-recommends "${needed[@]}") >/dev/null 2>&1 &
  installing=$!
fi

echo "== set up"
bash ./run.sh --set-up --dev || exit $?
programs=.venv/bin
[ -d .venv/Scripts ] && programs=.venv/Scripts
unset PYTHONDONTWRITEBYTECODE
export TF_ENABLE_ONEDNN_OPTS="${TF_ENABLE_ONEDNN_OPTS:-1}"
if [ -n "$installing" ] && ! wait "$installing"; then
  echo "== ${needed[*]} cannot be installed; tests that need them are skipped"
fi

# A test process that has loaded TensorFlow takes up to 3 GB; two run side by side only where there is room,
# and a file's tests stay in one process, so that a network is traced once.
workers=2
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
free_kilobytes=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo 2>/dev/null)
if [ "$cores" -lt 2 ] || [ "${free_kilobytes:-8000000}" -lt 6000000 ]; then
  workers=0
fi

failed=0
names=(ruff format mypy imports)
ruff() { "$programs/ruff" check; }
format() { "$programs/ruff" format --check; }
mypy() { "$programs/mypy"; }
imports() { "$programs/lint-imports"; }

# The four static checks run side by side; the output of each is shown when it has ended.
outputs=$(mktemp -d)
trap 'rm -rf "$outputs"' EXIT
running=()
for name in "${names[@]}"; do
  "$name" >"$outputs/$name" 2>&1 &
  running+=("$!")
done
for index in "${!names[@]}"; do
  wait "${running[$index]}"
  code=$?
  echo "== ${names[$index]}"
  cat "$outputs/${names[$index]}"
  if [ "$code" -ne 0 ]; then
    echo "== FAILED: ${names[$index]} (exit code $code)" >&2
    [ "$failed" -ne 0 ] || failed=$code
  fi
done

# Last, so that pytest's closing line ends the output. Files keep the order of tests/conftest.py: those with slow tests first.
echo "== pytest -n $workers --dist loadfile $*"
"$programs/python" -m pytest -n "$workers" --dist loadfile --no-loadscope-reorder --durations 25 "$@"
code=$?
[ "$failed" -ne 0 ] || failed=$code
exit "$failed"
