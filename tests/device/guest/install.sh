# The package, as a technician installs it.
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /share -o -path /var/log -o -path /var/cache \) -prune -o -print |
    sort >/root-before
if [ "$(dpkg --print-architecture)" = amd64 ]; then
    # An older processor is refused in a line that names what it lacks, and nothing is unpacked.
    sed 's/\bavx2\b//' /proc/cpuinfo >/run/cpuinfo
    mount --bind /run/cpuinfo /proc/cpuinfo
    refused=$(dpkg --unpack $SHARE/elio.deb 2>&1) && fail "a processor without avx2 is taken"
    umount /proc/cpuinfo
    grep -q "made for processors of x86-64-v3.*lacks avx2" <<<"$refused" || fail "$refused"
    [ ! -e /usr/bin/elio ] || fail "what was refused is unpacked"
    dpkg --purge elio >/dev/null 2>&1 || true
fi
begun=$(now)
DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends $SHARE/elio.deb
say "apt install: $(since "$begun") s"
getent passwd elio
getent group gpio
[ "$(stat -c %U:%G /var/lib/elio/models)" = elio:elio ] || fail "/var/lib/elio/models belongs to $(stat -c %U:%G /var/lib/elio/models)"
elio --version
elio check
systemd-analyze verify elio.service
# What root fetches is its folder's owner's; from a folder of files, as from a stick.
elio models fetch silero-vad --mirror /usr/share/elio/models/demo --dir /var/lib/elio/models
[ "$(stat -c %U /var/lib/elio/models/silero_vad_16k_op15.onnx)" = elio ] || fail "a fetched model belongs to $(stat -c %U /var/lib/elio/models/*.onnx)"
exposure=$(systemd-analyze security elio.service --no-pager | sed -n 's/.*Overall exposure level for elio.service: \([0-9.]*\).*/\1/p')
say "systemd-analyze security elio.service: $exposure"
awk -v e="$exposure" 'BEGIN { exit !(e > 0 && e <= 1.5) }' || fail "exposure $exposure, at most 1.5 is wanted"
! systemctl is-enabled -q elio || fail "the package enabled the service by itself"
