#!/bin/bash
# Runs at every boot of a build host: installs the agent that the parameter names, and starts it.
#
# It is part of the hosts' user data and so never changes: all that may change (units, packages,
# docker's settings) is in the release's own install.sh. A release becomes current only when it is
# whole, is what the parameter says, and starts; whatever fails, the last good one runs.
# Run again, it changes nothing.
set -uo pipefail

SLIPWAY_HOME=${SLIPWAY_HOME:-/opt/slipway}
RELEASES=$SLIPWAY_HOME/releases
CURRENT=$SLIPWAY_HOME/current
INSTALLER=build_agent/bootstrap/install.sh
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
  # Beside the others first; in place by one rename, so that a half release is never there.
  local release=$1 sha256=$2 folder=$3 work bucket key
  bucket=$(field bucket <<<"$release") && key=$(field key <<<"$release") || return 1
  work=$(mktemp -d "$RELEASES/.incoming.XXXXXX") || return 1
  aws s3 cp --only-show-errors "s3://$bucket/$key" "$work/agent.tar" >&2 &&
    sha256sum --check --status <<<"$sha256  $work/agent.tar" &&
    mkdir "$work/agent" &&
    tar -xf "$work/agent.tar" -C "$work/agent" --no-same-owner &&
    mv -T "$work/agent" "$folder"
  local failed=$?
  rm -rf "$work"
  return "$failed"
}

install_release() {
  # The release's own installer; current only after it has succeeded.
  local folder=$1
  bash "$folder/$INSTALLER" "$folder" >&2 || return 1
  ln -sfn "$folder" "$CURRENT.new" && mv -T "$CURRENT.new" "$CURRENT"
}

drop_old_releases() {
  # The newest few stay, and the current one among them: what to fall back to.
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
  local folder last_good
  last_good=$(readlink -f "$CURRENT" 2>/dev/null)
  if folder=$(fetch_release) && install_release "$folder"; then
    say "agent $(basename "$folder")"
  elif [[ -d $last_good ]] && install_release "$last_good"; then
    say "the agent could not be updated; the last good one runs: $(basename "$last_good")"
  else
    say "there is no agent, and none could be installed"
    return 1
  fi
  drop_old_releases
  systemctl restart slipway-agent.service
}

main "$@"
