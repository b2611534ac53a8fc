#!/bin/sh
# The sample application's worker: it says what it runs, and works until SIGTERM.
set -eu
bb=/bin/busybox

child=
trap 'kill $child 2>/dev/null; exit 0' TERM INT

if [ "$($bb sed -n 's/^behaviour=//p' /app/release.txt)" = worker ]; then
  echo "release.txt says behaviour=worker: leaving with exit code 3" >&2
  exit 3
fi

echo "working at commit $COMMIT, greeting: ${GREETING:-none}"
$bb sleep 1000000 &
child=$!
wait "$child"
