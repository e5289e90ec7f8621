# elio doctor on the board: beside the running service, then alone with the card, each check with the verdict that it must have.
is() { # FILE VERDICT CHECK...: every finding of each check has that verdict
    local check file=$SHARE/out/$1 verdict=$2
    for check in "${@:3}"; do
        jq -e --arg c "$check" --arg v "$verdict" '[.checks[] | select(.check == $c) | .verdict] | length > 0 and all(. == $v)' "$file" >/dev/null ||
            fail "$1, $check is not $verdict: $(jq -c --arg c "$check" '[.checks[] | select(.check == $c)]' "$file")"
    done
}
elio doctor --quick --json >$SHARE/out/doctor-running.json || fail "beside the service: exit $?: $(cat $SHARE/out/doctor-running.json)"
is doctor-running.json ok configuration service permissions journal espeak button led mute network key

systemctl stop elio
# The loop: what the speaker plays comes back by the other half of the card. Nothing else is heard there, and a silent microphone is a
# fault: exit 1.
rc=0
elio doctor --json --set audio.capture.device=hw:Loopback,0,1 >$SHARE/out/doctor.json || rc=$?
jq -r '.checks[] | "    \(.verdict) \(.check): \(.finding)"' $SHARE/out/doctor.json | cut -c1-150
is doctor.json ok configuration permissions journal onnxruntime espeak models speed gpu speaker button led mute network key cache
# Its sound came back, whatever the verdict on the delay: this card's clock is as exact as a busy host lets it be.
jq -e '.checks[] | select(.check == "loop") | .figures.confidence_db > 30' $SHARE/out/doctor.json >/dev/null ||
    fail "the loop: $(jq -c '.checks[] | select(.check == "loop")' $SHARE/out/doctor.json)"
is doctor.json warning service
[ "$(jq -r '[.checks[] | select(.verdict == "fault") | .check] | unique | join(" ")' $SHARE/out/doctor.json)" = microphone ] ||
    fail "faults: $(jq -c '[.checks[] | select(.verdict == "fault")]' $SHARE/out/doctor.json)"
[ $rc = 1 ] || fail "exit $rc with a fault"

# The microphone in a room where somebody speaks, and the button while somebody presses it.
(while speak en-joke; do :; done) &
talker=$!
elio doctor microphone --json >$SHARE/out/doctor-microphone.json || fail "the microphone: $(cat $SHARE/out/doctor-microphone.json)"
kill $talker
is doctor-microphone.json ok microphone
(sleep 1.5; press; sleep 0.3; release) &
elio doctor button --press --json >$SHARE/out/doctor-button.json || fail "the button: $(cat $SHARE/out/doctor-button.json)"
is doctor-button.json ok button
jq -e '[.checks[].figures.held_ms // 0] | max > 200' $SHARE/out/doctor-button.json >/dev/null || fail "no press: $(cat $SHARE/out/doctor-button.json)"
for name in microphone button; do jq -r '.checks[] | "    \(.verdict) \(.check): \(.finding)"' $SHARE/out/doctor-$name.json | cut -c1-150; done
wait_for 10 "the end of the last question" not_playing
systemctl start elio
wait_for 60 "warm" warm
