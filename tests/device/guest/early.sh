# Pressed and asked as soon as the button works, long before the models are warm: "One moment" is said, and the question is answered.
before=$(count)
wait_for 60 "the kept lines" lines_kept
# The demo's models are small, and would be warm before the question ends: here the board has much else to do for the first seconds.
trap 'systemctl set-property --runtime elio.service CPUWeight=' EXIT
systemctl set-property --runtime elio.service CPUWeight=30
record_start early
systemctl restart elio
nice -n 10 timeout 5 sh -c 'while :; do :; done' &
press
sleep 0.2
release
speak en-lights
say "warm at the end of the question: $(status .warm_ms)"
wait_for 60 "the record of the turn" has_records $((before + 1))
wait_for 40 "idle" state_is idle
record_stop
cp -r /var/lib/elio/lines $SHARE/out/
answered
last | jq -e '.starting == true' >/dev/null || fail "the record does not say that it was starting: $(last)"
