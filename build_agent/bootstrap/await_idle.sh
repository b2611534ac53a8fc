#!/bin/bash
# Returns when the agent has nothing to do: what it says of itself to systemd.
set -euo pipefail

EVERY=${SLIPWAY_LOOK_EVERY:-5}

until [[ $(systemctl show --property=StatusText --value slipway-agent.service) == idle ]]; do
  sleep "$EVERY"
done
