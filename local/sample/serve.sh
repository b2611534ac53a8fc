#!/bin/sh
# The sample application: serves its commit and its message over HTTP, ends at once on SIGTERM.
# A static busybox is all there is in the image.
set -eu
bb=/bin/busybox

value() { # the value of a line "name=value" of the release
  $bb sed -n "s/^$1=//p" /app/release.txt
}

text() { # standard input as JSON and HTML can both carry it
  $bb tr -d '"\\<>&'
}

behaviour="$(value behaviour)"
message="$(value message | text)"
after="$(value after)"

# busybox as process 1 would ignore SIGTERM: a trap, and a child to wait for.
child=
trap 'kill $child 2>/dev/null; exit 0' TERM INT

# A release may need its time until it is healthy, or crashes.
$bb sleep "${after:-0}" &
child=$!
wait "$child"

if [ "$behaviour" = crash ]; then
  echo "release.txt says behaviour=crash: leaving with exit code 3" >&2
  exit 3
fi

$bb mkdir -p /www
printf '{"commit": "%s", "message": "%s", "environment": "%s", "greeting": "%s"}\n' \
  "$COMMIT" "$message" "$ENVIRONMENT" "$(printf %s "${GREETING:-}" | text)" >/www/version.json
printf '<!doctype html><title>sample</title><h1>%s</h1><p>commit %s</p>\n' \
  "$message" "$COMMIT" >/www/index.html
if [ "$behaviour" = health ]; then
  echo "release.txt says behaviour=health: /health will not be found" >&2
else
  echo ok >/www/health
fi
if [ "$behaviour" = smoke ]; then
  echo "release.txt says behaviour=smoke: /ready will not be found" >&2
else
  echo "ready: $COMMIT" >/www/ready
fi
$bb httpd -f -p 8080 -h /www &
child=$!
echo "serving commit $COMMIT"
wait "$child"
