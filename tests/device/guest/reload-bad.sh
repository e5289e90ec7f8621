# A bad file leaves the running configuration in force and says so.
trap 'rm -f /etc/elio/elio.toml.d/70-bad.toml' EXIT
printf '[wake]\nmode = "sometimes"\n' >/etc/elio/elio.toml.d/70-bad.toml
before=$(journalctl -u elio -o cat | grep -c "wake.mode" || true)
systemctl reload elio || true
reported() { [ "$(journalctl -u elio -o cat | grep -c "wake.mode")" -gt "$before" ]; }
wait_for 5 "the fault in the journal" reported
[ "$(status .mode)" = press ] || fail "the mode changed"
rm /etc/elio/elio.toml.d/70-bad.toml
systemctl reload elio
turn en-lights
answered
