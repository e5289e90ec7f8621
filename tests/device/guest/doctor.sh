# elio doctor on the board, beside the running service and then alone with the card.
elio doctor --quick --json >$SHARE/out/doctor-running.json || true
systemctl stop elio
# The loop: what the speaker plays comes back by the other half of the card.
elio doctor --json --set audio.capture.device=hw:Loopback,0,1 >$SHARE/out/doctor.json || true
jq -r '.checks[] | "    \(.verdict) \(.check): \(.finding)"' $SHARE/out/doctor.json | cut -c1-150
for check in configuration speaker loop models key network cache; do
    jq -e --arg c $check '.checks[] | select(.check == $c) | .verdict == "ok" or .verdict == "warning"' $SHARE/out/doctor.json >/dev/null ||
        fail "$check: $(jq -c --arg c $check '.checks[] | select(.check == $c)' $SHARE/out/doctor.json)"
done
systemctl start elio
wait_for 60 "warm" warm
