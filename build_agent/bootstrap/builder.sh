#!/bin/bash
# Runs in a build of CodeBuild: fetches the agent that the parameter names, as boot.sh does on a host, and
# becomes it for one pipeline. A build is new each time: there is no last good release to fall back to.
set -euo pipefail

SLIPWAY_HOME=${SLIPWAY_HOME:-/opt/slipway}
PYTHON=${SLIPWAY_PYTHON:-python3}

say() { echo "slipway-builder: $*" >&2; }

field() { "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

fetch_release() {
  # Into the folder $1, whole and with the hash that the parameter says, or not at all.
  local folder=$1 release sha256 bucket key
  release=$(aws ssm get-parameter --name "$SLIPWAY_AGENT_PARAMETER" \
    --query Parameter.Value --output text) || return 1
  sha256=$(field sha256 <<<"$release") && bucket=$(field bucket <<<"$release") &&
    key=$(field key <<<"$release") || return 1
  [[ $sha256 =~ ^[0-9a-f]{64}$ ]] || return 1
  aws s3 cp --only-show-errors "s3://$bucket/$key" "$folder.tar" >&2 &&
    sha256sum --check --status <<<"$sha256  $folder.tar" &&
    mkdir "$folder" &&
    tar -xf "$folder.tar" -C "$folder" --no-same-owner &&
    rm "$folder.tar" &&
    say "agent $sha256"
}

release=$SLIPWAY_HOME/release
mkdir -p "$SLIPWAY_HOME/work"
fetch_release "$release" || { say "the agent could not be had whole" && exit 1; }
export PYTHONPATH=$release:$release/vendor PYTHONDONTWRITEBYTECODE=1
export SLIPWAY_INSTALLATION=$release/installation.json
cd "$SLIPWAY_HOME/work"
exec "$PYTHON" -m build_agent run --pipeline "$SLIPWAY_PIPELINE" --generation "$SLIPWAY_GENERATION" \
  --until-done --work-dir "$SLIPWAY_HOME/work"
