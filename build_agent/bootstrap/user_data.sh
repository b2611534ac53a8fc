#!/bin/bash
# What makes an instance a build host. This text never changes: a change would stop and start the hosts.
#
# It is a boothook of cloud-init and so runs at every boot, early (a plain script runs once per
# instance, also if that was cut half-way): it writes only what is not there as it should be, each file
# whole or not at all.
set -euo pipefail

put() {
  # What comes in becomes the file $1 with the mode $2.
  local text
  text=$(cat)
  [[ -e $1 && $(<"$1") == "$text" ]] && return
  printf '%s\n' "$text" >"$1.new"
  chmod "$2" "$1.new"
  mv -f "$1.new" "$1"
  changed=yes
}

changed=no
install -d -m 0755 /usr/local/lib/slipway /etc/slipway
put /usr/local/lib/slipway/boot.sh 0755 <<'END_OF_BOOT'
@boot.sh@
END_OF_BOOT
put /etc/systemd/system/slipway-log@.service 0644 <<'END_OF_UNIT'
@slipway-log@.service@
END_OF_UNIT
put /etc/systemd/system/slipway-boot.service 0644 <<'END_OF_UNIT'
@slipway-boot.service@
END_OF_UNIT
put /etc/slipway/boot.env 0644 <<'END_OF_SETTINGS'
SLIPWAY_AGENT_PARAMETER=@parameter@
AWS_DEFAULT_REGION=@region@
END_OF_SETTINGS
if [[ $changed == yes ]] || ! systemctl --quiet is-enabled slipway-boot.service; then
  systemctl daemon-reload
  systemctl enable slipway-boot.service
  systemctl start --no-block slipway-boot.service
fi
