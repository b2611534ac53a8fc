#!/bin/sh
# The sample application's tests, with a report in JUnit's XML.
set -eu
bb=/bin/busybox
$bb mkdir -p /reports

report() { # failures, and the second case's content
  printf '%s\n' '<testsuite name="sample" tests="2" failures="'"$1"'">' \
    '<testcase classname="sample" name="it has a message"/>' \
    '<testcase classname="sample" name="it behaves">'"$2"'</testcase>' \
    '</testsuite>' >/reports/junit.xml
}

if [ "$($bb sed -n 's/^behaviour=//p' /app/release.txt)" = tests ]; then
  report 1 '<failure message="release.txt says behaviour=tests"/>'
  echo "test: FAILED: it behaves: release.txt says behaviour=tests" >&2
  exit 1
fi
report 0 ''
echo "test: 2 passed"
