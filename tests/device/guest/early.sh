# Pressed and asked as soon as the button works, long before the models are warm: answered all the same.
record_start early
systemctl restart elio
before=$(count)
state=$(status .state)
press
sleep 0.2
release
speak en-lights
say "pressed while it was $state; warm at the end of the question: $(status .warm_ms)"
wait_for 60 "the record of the turn" has_records $((before + 1))
wait_for 40 "idle" state_is idle
record_stop
answered
last | jq -e '.starting == true' >/dev/null || fail "the record does not say that it was starting: $(last)"
