#!/bin/bash
# A build host's packages: `packages.sh install` what is missing, `packages.sh upgrade` for security.
#
# dnf runs in a unit of its own, which a stop of the host waits for (an inhibitor would swallow the
# power key). Where it is cut nevertheless, a mark stays, and the next one mends what that one left.
set -euo pipefail

MARK=${SLIPWAY_HOME:-/opt/slipway}/packages.unfinished
PACKAGES=(docker git python3.13 amazon-cloudwatch-agent)
# docker's update would restart it, and with it a running build.
UPGRADE=(upgrade --releasever=latest --security -y --exclude="docker,containerd,runc")
AT_LOWEST_PRIORITY=(
  --property=Nice=19 --property=CPUWeight=1 --property=IOWeight=1 --property=IOSchedulingClass=idle
)

say() { echo "slipway-packages: $*" >&2; }

install_missing() {
  # A woken host has them all, and asks nobody.
  local missing=() package
  for package in "${PACKAGES[@]}"; do
    rpm --quiet -q "$package" || missing+=("$package")
  done
  [[ ${#missing[@]} -eq 0 && ! -e $MARK ]] && return
  held bash "$0" transact install -y --setopt=install_weak_deps=False "${PACKAGES[@]}"
}

held() {
  # SIGCONT is a signal that ends nothing: a stop waits until dnf is done, at most ten minutes.
  systemd-run --quiet --wait --pipe --collect --unit=slipway-packages \
    --description="Slipway: packages (a stop of the host waits for it)" \
    --property=After=network-online.target --property=KillSignal=SIGCONT \
    --property=TimeoutStopSec=600 --property=RuntimeMaxSec=3600 "$@"
}

transact() {
  # `dnf $@`. The mark is on the disk before, and goes when all else is: so it tells of a cut.
  local whole=yes failed=0
  if [[ -e $MARK ]]; then
    mend || { whole=no && say "not all could be mended; the next one tries again"; }
  else
    printf '%s\n' "$@" >"$MARK"
    sync --file-system "$MARK"
  fi
  dnf "$@" || failed=$?
  [[ $failed -le 128 ]] || whole=no # it was killed
  [[ $whole == no ]] || { sync && rm "$MARK"; }
  return "$failed"
}

mend() {
  # What has come since the mark: its scripts may not have run, its files be empty, its forerunner
  # still be there. Then the same once more: what it had begun has new files under an old name.
  local since at package brought=() cut
  say "an installation was interrupted: mending what it left"
  since=$(stat --format=%Y "$MARK")
  while read -r at package; do
    [[ $at -lt $since ]] || brought+=("$package")
  done < <(rpm -qa --queryformat '%{INSTALLTIME} %{NAME}.%{ARCH}\n')
  mapfile -t cut <"$MARK"
  dnf remove -y --duplicates || true # it fails where there are none
  if [[ ${#brought[@]} -gt 0 ]]; then
    dnf reinstall -y "${brought[@]}" || dnf reinstall -y --releasever=latest "${brought[@]}" || return
  fi
  dnf "${cut[@]}"
}

case $1 in
  install) install_missing ;;
  upgrade) held "${AT_LOWEST_PRIORITY[@]}" bash "$0" transact "${UPGRADE[@]}" ;;
  transact) transact "${@:2}" ;;
esac
