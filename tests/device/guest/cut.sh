# Asks for the power cut, in the middle of a turn.
turn en-lights
answered
count >$SHARE/out/records-before-cut
records | jq -r .ELIO_TURN_ID >$SHARE/out/ids-before-cut
press
sleep 0.2
release
speak en-joke
wait_for 20 "the turn under way" led_is 1
touch $SHARE/cut-now
sleep 60
fail "the power was not cut"
