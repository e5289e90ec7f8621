# The sound card is unbound from its driver while Elio has it open, and bound again. Nobody can be told so aloud: the record says it.
driver=/sys/bus/platform/drivers/snd_aloop
trap '[ -e $driver/snd_aloop.0 ] || echo snd_aloop.0 >$driver/bind' EXIT
pid=$(systemctl show -P MainPID elio)
echo snd_aloop.0 >$driver/unbind
gone() { status '.microphone + .speaker' | grep -q "not there"; }
wait_for 15 "the missing card in the status" gone
before=$(count)
press
sleep 0.2
release
wait_for 20 "the record of the press" has_records $((before + 1))
failed speaker "aplay -l"
begun=$(now)
echo snd_aloop.0 >$driver/bind
back() { ! gone && state_is idle; }
wait_for 20 "the card's return" back
say "heard again $(since "$begun") s after the card came back"
[ "$(systemctl show -P MainPID elio)" = "$pid" ] || fail "the daemon was restarted"
turn en-lights
answered
