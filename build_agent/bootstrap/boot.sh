#!/bin/bash
# Runs at every boot of a build host: installs the agent that the parameter names, and starts it.
#
# A release is installed beside the others and becomes current only when it is whole and starts:
# whatever fails here (no network, a wrong hash, a broken archive), the last good one runs.
# Run again, it changes nothing.
set -uo pipefail

SLIPWAY_HOME=${SLIPWAY_HOME:-/opt/slipway}
UNIT_DIR=${SLIPWAY_UNIT_DIR:-/etc/systemd/system}
RELEASES=$SLIPWAY_HOME/releases
CURRENT=$SLIPWAY_HOME/current
KEPT_RELEASES=3

say() { echo "slipway-boot: $*"; }

install_packages() {
  # Only what is missing: a woken host has them all, and asks nobody.
  local missing=() package
  for package in docker git python3.13; do
    rpm --quiet -q "$package" || missing+=("$package")
  done
  [[ ${#missing[@]} -eq 0 ]] || dnf install -y --setopt=install_weak_deps=False "${missing[@]}"
}

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

fetch_release() {
  # Prints the folder of the release that the parameter names; fails if it cannot be had whole.
  local release sha256 folder work
  release=$(aws ssm get-parameter --name "$SLIPWAY_AGENT_PARAMETER" \
    --query Parameter.Value --output text) || return 1
  sha256=$(field sha256 <<<"$release") || return 1
  [[ $sha256 =~ ^[0-9a-f]{64}$ ]] || return 1
  folder=$RELEASES/$sha256
  if [[ ! -d $folder ]]; then
    work=$(mktemp -d "$RELEASES/.incoming.XXXXXX") || return 1
    if unpack "$release" "$sha256" "$work"; then
      mv "$work/agent" "$folder"
    fi
    rm -rf "$work"
  fi
  [[ -d $folder ]] || return 1
  echo "$folder"
}

unpack() {
  local release=$1 sha256=$2 work=$3 bucket key
  bucket=$(field bucket <<<"$release") || return 1
  key=$(field key <<<"$release") || return 1
  aws s3 cp --only-show-errors "s3://$bucket/$key" "$work/agent.tar" || return 1
  sha256sum --check --status <<<"$sha256  $work/agent.tar" || return 1
  mkdir "$work/agent" || return 1
  tar -xf "$work/agent.tar" -C "$work/agent" --no-same-owner || return 1
  starts "$work/agent"
}

starts() {
  # Whether the agent in folder $1 can be imported by the Python that will run it.
  (cd "$1" && PYTHONPATH=$1:$1/vendor python3.13 -c 'import build_agent.__main__' >/dev/null)
}

make_current() {
  local folder=$1
  ln -sfn "$folder" "$CURRENT.new" && mv -T "$CURRENT.new" "$CURRENT"
}

drop_old_releases() {
  # The newest few stay, and the current one among them: what to fall back to.
  local kept current
  current=$(readlink -f "$CURRENT")
  kept=$(ls -1t "$RELEASES" | head -n "$KEPT_RELEASES")
  for release in "$RELEASES"/*; do
    [[ $release == "$current" ]] && continue
    grep -qxF "$(basename "$release")" <<<"$kept" || rm -rf "$release"
  done
}

main() {
  mkdir -p "$RELEASES"
  install_packages || say "packages are missing and could not be installed; going on"
  local folder
  if folder=$(fetch_release); then
    make_current "$folder"
    say "agent $(basename "$folder")"
  elif [[ -e $CURRENT ]]; then
    say "the agent could not be updated; the last good one runs: $(readlink "$CURRENT")"
  else
    say "there is no agent, and none could be installed"
    return 1
  fi
  drop_old_releases
  install -m 0644 "$CURRENT/build_agent/bootstrap/slipway-agent.service" "$UNIT_DIR/"
  systemctl daemon-reload
  systemctl enable --now docker.service
  systemctl restart slipway-agent.service
}

main "$@"
