# A service that fails again and again is not started for ever: after five times it stays down, and that is seen.
trap 'rm -rf /run/systemd/system/elio.service.d; systemctl daemon-reload' EXIT
mkdir -p /run/systemd/system/elio.service.d
printf '[Service]\nExecStart=\nExecStart=/bin/false\nRestartSec=100ms\n' >/run/systemd/system/elio.service.d/broken.conf
systemctl daemon-reload
# Forgets the starts of the scenarios before.
systemctl reset-failed elio
systemctl restart elio || true
given_up
say "given up after $(restarts) starts anew: $(systemctl show -P Result elio)"
[ "$(restarts)" -ge 4 ] || fail "only $(restarts) starts anew"
journalctl -b -u elio -o cat | grep -q "repeated too quickly" || fail "it is not the limit: $(journalctl -b -u elio -n 5 -o cat)"
rm -r /run/systemd/system/elio.service.d
systemctl daemon-reload
back_again
