#!/bin/bash
# Runs at every boot of a build host: installs the agent that the parameter names, and starts it.
#
# It is part of the hosts' user data and so never changes: all that may change (units, packages,
# docker's settings) is in the release's own install.sh. A release is the good one only when it is
# whole, is what the parameter says, and has come up; whatever fails, the last good one runs.
# It may be cut anywhere, and run again: then it goes on, and stops no agent that runs as it should.
set -uo pipefail

SLIPWAY_HOME=${SLIPWAY_HOME:-/opt/slipway}
RELEASES=$SLIPWAY_HOME/releases
CURRENT=$SLIPWAY_HOME/current             # what the agent's unit runs
GOOD=$SLIPWAY_HOME/good                   # the last release whose agent came up
STARTED=${SLIPWAY_RUN:-/run}/slipway-release # what this boot's agent was started from
INSTALLER=build_agent/bootstrap/install.sh
AGENT=slipway-agent.service
KEPT_RELEASES=3

say() { echo "slipway-boot: $*" >&2; }

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

fetch_release() {
  # Prints the folder of the release that the parameter names; fails if it cannot be had whole.
  local release sha256 folder
  release=$(aws ssm get-parameter --name "$SLIPWAY_AGENT_PARAMETER" \
    --query Parameter.Value --output text) || return 1
  sha256=$(field sha256 <<<"$release") || return 1
  [[ $sha256 =~ ^[0-9a-f]{64}$ ]] || return 1
  folder=$RELEASES/$sha256
  [[ -d $folder ]] || unpack "$release" "$sha256" "$folder" || return 1
  echo "$folder"
}

unpack() {
  # Beside the others first, and on the disk; in place by one rename: a half release is never there.
  local release=$1 sha256=$2 folder=$3 work bucket key
  bucket=$(field bucket <<<"$release") && key=$(field key <<<"$release") || return 1
  work=$(mktemp -d "$RELEASES/.incoming.XXXXXX") || return 1
  aws s3 cp --only-show-errors "s3://$bucket/$key" "$work/agent.tar" >&2 &&
    sha256sum --check --status <<<"$sha256  $work/agent.tar" &&
    mkdir "$work/agent" &&
    tar -xf "$work/agent.tar" -C "$work/agent" --no-same-owner &&
    sync --file-system "$work/agent" &&
    mv -T "$work/agent" "$folder"
  local failed=$?
  rm -rf "$work"
  return "$failed"
}

point() { ln -sfn "$2" "$1.new" && mv -T "$1.new" "$1"; }

run_release() {
  # The release's own installer, then its agent; the good one only after that has come up.
  local folder=$1
  bash "$folder/$INSTALLER" "$folder" >&2 &&
    point "$CURRENT" "$folder" &&
    start_agent "$folder" &&
    point "$GOOD" "$folder"
}

start_agent() {
  # Returns when the agent has said that it is up, or has failed. One that runs this very release
  # goes on; one of another is stopped, and gives back what it holds.
  local folder=$1
  if [[ $(cat "$STARTED" 2>/dev/null) != "$folder" ]]; then
    systemctl stop "$AGENT" && echo "$folder" >"$STARTED" || return 1
  fi
  systemctl start "$AGENT"
}

drop_old_releases() {
  # The newest few stay, and among them what runs: what to fall back to.
  local current kept release
  current=$(basename "$(readlink -f "$CURRENT")")
  rm -rf "$RELEASES"/.incoming.*
  kept=$(find "$RELEASES" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %f\n' |
    sort -rn | head -n "$KEPT_RELEASES" | cut -d' ' -f2)
  for release in "$RELEASES"/*; do
    [[ $(basename "$release") == "$current" ]] ||
      grep -qxF "$(basename "$release")" <<<"$kept" ||
      rm -rf "$release"
  done
}

main() {
  mkdir -p "$RELEASES"
  local release last_good
  last_good=$(readlink -f "$GOOD" 2>/dev/null)
  if release=$(fetch_release) && run_release "$release"; then
    say "agent $(basename "$release")"
  elif [[ -d $last_good && $last_good != "$release" ]] && run_release "$last_good"; then
    say "${release:+$(basename "$release") does not start and is left aside; }the agent could not be" \
      "updated; the last good one runs: $(basename "$last_good")"
  else
    say "there is no agent that starts"
    return 1
  fi
  drop_old_releases
}

main "$@"
