#!/bin/bash
# Makes a build host fit for the release in folder $1: packages, docker's settings, units.
# boot.sh calls it at every boot; run again, it changes nothing. It fails where the release could
# not run: then the last good one stays.
set -euo pipefail

RELEASE=$1
HERE=$RELEASE/build_agent/bootstrap
UNIT_DIR=${SLIPWAY_UNIT_DIR:-/etc/systemd/system}
ETC=${SLIPWAY_ETC:-/etc}
PYTHON=${SLIPWAY_PYTHON:-python3.13}

install_file() {
  # Copies $1 to $2 if it differs; says by its exit code whether it did.
  cmp --silent "$1" "$2" && return 1
  install -D -m 0644 "$1" "$2"
}

enable() { systemctl --quiet is-enabled "$1" || systemctl enable "$1"; }

set_docker_up() {
  enable docker.service
  if install_file "$HERE/docker-daemon.json" "$ETC/docker/daemon.json"; then
    systemctl restart docker.service
  else
    systemctl start docker.service
  fi
}

ship_logs() {
  # Logs of boot, agent and updates, into the installation's log group for builds.
  local group config=$ETC/slipway/cloudwatch-agent.json
  group=/$(cut -d/ -f2 <<<"$SLIPWAY_AGENT_PARAMETER")/builds
  install -d "$ETC/slipway"
  sed "s|@log_group@|$group|" "$HERE/cloudwatch-agent.json" >"$config"
  if ! cmp --silent "$config" "$config.taken" || ! systemctl --quiet is-active amazon-cloudwatch-agent; then
    if amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s -c "file:$config"; then
      cp "$config" "$config.taken"
    else
      echo "slipway-install: logs of the host stay on the host" >&2
    fi
  fi
}

install_units() {
  # boot.sh starts the agent's.
  local unit changed=no
  for unit in slipway-agent.service slipway-updates.service slipway-updates.timer; do
    install_file "$HERE/$unit" "$UNIT_DIR/$unit" && changed=yes
  done
  [[ $changed == no ]] || systemctl daemon-reload
  enable slipway-updates.timer
  systemctl start slipway-updates.timer
}

check_release() {
  # Whether the Python that will run the agent can import it.
  (cd / && PYTHONPATH=$RELEASE:$RELEASE/vendor "$PYTHON" -c 'import build_agent.__main__')
}

bash "$HERE/packages.sh" install
check_release
set_docker_up
ship_logs
install_units
