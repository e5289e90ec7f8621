# The mode is changed by a good file and SIGHUP; then the button is held while the question is spoken.
trap 'rm -f /etc/elio/elio.toml.d/60-hold.toml' EXIT
printf '[wake]\nmode = "hold"\n' >/etc/elio/elio.toml.d/60-hold.toml
systemctl reload elio
wait_for 5 "hold mode" status_is .mode hold
before=$(count)
press
sleep 0.3
speak en-lights &
# The player goes on with silence behind the question, which takes 2.4 s; nobody holds a button for that.
sleep 2.9
release
wait $!
wait_for 40 "the record of the turn" has_records $((before + 1))
wait_for 40 "idle" state_is idle
answered
last | jq -e '.source == "button"' >/dev/null || fail "source $(last | jq .source)"
rm /etc/elio/elio.toml.d/60-hold.toml
systemctl reload elio
wait_for 5 "press mode" status_is .mode press
