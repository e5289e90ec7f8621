# The simulated board: a GPIO chip with button, LED and mute switch, and Claude. Made anew at each boot.
. /share/guest/lib.sh
mkdir -p $GPIO/bank0/line0 $GPIO/bank0/line1 $GPIO/bank0/line2
echo 3 >$GPIO/bank0/num_lines
echo BUTTON >$GPIO/bank0/line0/name
echo LED >$GPIO/bank0/line1/name
echo MUTE >$GPIO/bank0/line2/name
echo 1 >$GPIO/live
mkdir -p /run/claude
if ! systemctl is-active -q claude; then
    systemd-run --quiet --unit=claude --property=StandardOutput=file:/run/claude/ready \
        elio sim --listen 127.0.0.1:8443 --dir /run/claude --key sk-device-test --ttft 200 --log-words
fi
wait_for 20 "the simulated Claude" test -s /run/claude/ready
chmod 755 /run/claude
chmod 644 /run/claude/ca.pem
