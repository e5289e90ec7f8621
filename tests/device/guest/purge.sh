# purge leaves nothing.
DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 purge -y elio
! getent passwd elio || fail "the user is still there"
! getent group elio || fail "the group is still there"
! getent group gpio || fail "the group gpio is still there"
[ ! -e /var/cache/elio ] && [ ! -e /run/elio ] && [ ! -e /etc/elio ] || fail "left behind: $(ls -d /var/cache/elio /run/elio /etc/elio)"
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /share -o -path /var/log -o -path /var/cache \) -prune -o -print |
    sort >/root-after
left=$(comm -13 /root-before /root-after | grep -vE '^/(root-before|root-after|var/lib/(claude|dpkg|apt|systemd|private)|var/tmp/systemd-private|root/.config|etc/(passwd|group|shadow|gshadow|subuid|subgid|\.pwd\.lock)-?)' || true)
[ -z "$left" ] || fail "left behind: $left"
