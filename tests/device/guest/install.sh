# The package, as a technician installs it.
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /share -o -path /var/log -o -path /var/cache \) -prune -o -print |
    sort >/root-before
begun=$(now)
DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends $SHARE/elio.deb
say "apt install: $(since "$begun") s"
getent passwd elio
getent group gpio
[ "$(stat -c %U:%G /var/lib/elio/models)" = elio:elio ] || fail "/var/lib/elio/models belongs to $(stat -c %U:%G /var/lib/elio/models)"
elio --version
elio check
systemd-analyze verify elio.service
exposure=$(systemd-analyze security elio.service --no-pager | sed -n 's/.*Overall exposure level for elio.service: \([0-9.]*\).*/\1/p')
say "systemd-analyze security elio.service: $exposure"
awk -v e="$exposure" 'BEGIN { exit !(e > 0 && e <= 1.5) }' || fail "exposure $exposure, at most 1.5 is wanted"
! systemctl is-enabled -q elio || fail "the package enabled the service by itself"
