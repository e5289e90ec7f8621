# journald is restarted while Elio runs: no record is lost.
before=$(count)
turn en-lights
systemctl restart systemd-journald
turn fr-music
answered
[ "$(count)" = $((before + 2)) ] || fail "$(count) records, $((before + 2)) are wanted"
