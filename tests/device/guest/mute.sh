# The switch: muted is shown, a press is answered, and back.
mute up
wait_for 5 "muted" status_is .muted true
press
sleep 0.2
release
wait_for 10 "the lit LED" led_is 1
wait_for 20 "the answer's end" led_is 0
mute down
wait_for 5 "unmuted" status_is .muted false
