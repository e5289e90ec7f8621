# Press, speak, silence ends the turn; the answer is recorded from the card.
record_start answer-press
press
wait_for 5 "the LED while it listens" led_is 1
sleep 0.2
release
before=$(count)
speak en-lights
wait_for 40 "the record of the turn" has_records $((before + 1))
wait_for 40 "idle" state_is idle
record_stop
answered
led_is 0 || fail "the LED is on while nothing happens"
last | jq -e '.source == "endpoint"' >/dev/null || fail "source $(last | jq .source)"
cp /var/lib/claude/requests.jsonl $SHARE/out/
