#!/bin/bash
# First boot of a build host. This text never changes: a change would stop and start the hosts.
set -euo pipefail

install -d -m 0755 /usr/local/lib/slipway /etc/slipway
cat > /usr/local/lib/slipway/boot.sh <<'END_OF_BOOT'
@boot.sh@
END_OF_BOOT
cat > /etc/systemd/system/slipway-boot.service <<'END_OF_UNIT'
@slipway-boot.service@
END_OF_UNIT
cat > /etc/slipway/boot.env <<'END_OF_SETTINGS'
SLIPWAY_AGENT_PARAMETER=@parameter@
AWS_DEFAULT_REGION=@region@
END_OF_SETTINGS
chmod 0755 /usr/local/lib/slipway/boot.sh
systemctl daemon-reload
systemctl enable slipway-boot.service
systemctl start --no-block slipway-boot.service
