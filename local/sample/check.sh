#!/bin/sh
# Runs while the image is built, as an application's tests would.
set -eu
bb=/bin/busybox
behaviour="$($bb sed -n 's/^behaviour=//p' /app/release.txt)"
case "$behaviour" in
  works | crash | health | tests | smoke | worker) echo "check: the release can be built" ;;
  slow)
    echo "check: a long test"
    $bb sleep 6
    ;;
  build)
    echo "check: running 1 test" >&2
    echo "check: FAILED: release.txt says behaviour=build" >&2
    exit 1
    ;;
  *)
    echo "check: FAILED: behaviour '$behaviour' is unknown" >&2
    exit 1
    ;;
esac
