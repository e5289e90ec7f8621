# A daemon that hangs is killed by systemd and comes back.
trap 'rm -rf /run/systemd/system/elio.service.d; systemctl daemon-reload' EXIT
mkdir -p /run/systemd/system/elio.service.d
printf '[Service]\nWatchdogSec=4\nRestartSec=1\n' >/run/systemd/system/elio.service.d/quick.conf
systemctl daemon-reload
systemctl restart elio
wait_for 60 "warm" warm
before=$(restarts)
begun=$(now)
kill -STOP "$(systemctl show -P MainPID elio)"
restarted() { [ "$(restarts)" -gt "$before" ] && systemctl is-active -q elio; }
wait_for 90 "the restart by the watchdog" restarted
say "killed and READY again: $(since "$begun") s (WatchdogSec=4)"
journalctl -u elio -o cat | grep -q "Watchdog timeout" || journalctl -b -o cat | grep -qi watchdog || fail "no word of the watchdog"
wait_for 60 "warm" warm
rm -r /run/systemd/system/elio.service.d
systemctl daemon-reload
turn en-lights
answered
