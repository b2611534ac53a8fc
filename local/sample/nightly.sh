#!/bin/sh
# The sample application's nightly task: it says what it runs, and is done.
set -eu
echo "nightly work at commit $COMMIT, greeting: ${GREETING:-none}"
