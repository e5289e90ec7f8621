# The switch: muted is shown, a press is answered, and back.
mute up
wait_for 5 "muted" status_is .muted true
wait_for 60 "the kept lines" lines_kept
before=$(count)
record_start mute
press
sleep 0.2
release
wait_for 10 "the lit LED" led_is 1
wait_for 20 "the answer's end" led_is 0
record_stop
cp -r /var/lib/elio/lines $SHARE/out/
wait_for 10 "the record of the press" has_records $((before + 1))
failed muted "move the switch"
mute down
wait_for 5 "unmuted" status_is .muted false
