#!/bin/bash
# Turns Debian packages into the image: mmdebstrap calls it with the image's root as $1.
set -euo pipefail

ROOT=$1
HERE=$(dirname "$(readlink -f "$0")")
LATER=(git) # what the first boot installs, so that it installs something
DMI=$ROOT/usr/lib/python3/dist-packages/cloudinit/dmi.py

# The files keep nothing of the checkout but their content and whether they can be run.
cp -R --no-preserve=mode,ownership "$HERE/files/." "$ROOT"
find "$HERE/files" -type f -perm /u+x -printf '%P\0' | (cd "$ROOT" && xargs -0 chmod 0755)
ln -s python3 "$ROOT/usr/bin/python3.13"

mkdir -p "$ROOT/var/cache/dnf/partial"
chroot "$ROOT" apt-get install --yes --download-only \
  -o Dir::Cache::archives=/var/cache/dnf "${LATER[@]}"
rm -rf "$ROOT/var/cache/dnf/partial" "$ROOT/var/cache/dnf/lock"

# On Amazon Linux, Docker is not even installed: here it does not start until it is enabled.
systemctl --root="$ROOT" --quiet disable docker.service docker.socket containerd.service
systemctl --root="$ROOT" --quiet mask \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer \
  e2scrub_all.timer e2scrub_reap.service console-getty.service \
  systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service

# In a container cloud-init does not look at the hardware, and here it would find this machine's.
sed -i -e 's|^DMI_SYS_PATH = .*|DMI_SYS_PATH = "/etc/ec2-dmi"|' \
  -e 's|^    if is_container():|    if False:|' "$DMI"
[[ $(grep -c -e '^DMI_SYS_PATH = "/etc/ec2-dmi"' -e '^    if False:' "$DMI") == 2 ]]

: >"$ROOT/etc/machine-id"
rm -f "$ROOT/etc/fstab" "$ROOT/etc/hostname" "$ROOT/etc/resolv.conf"
