# The simulated board: a GPIO chip with button, LED and mute switch, and Claude. board.service runs it at each boot, before
# Elio; at the first one there is no Elio yet.
. /share/guest/lib.sh
if [ ! -e $GPIO/live ]; then
    mkdir -p $GPIO/bank0/line0 $GPIO/bank0/line1 $GPIO/bank0/line2
    echo 3 >$GPIO/bank0/num_lines
    echo BUTTON >$GPIO/bank0/line0/name
    echo LED >$GPIO/bank0/line1/name
    echo MUTE >$GPIO/bank0/line2/name
    echo 1 >$GPIO/live
fi
command -v elio >/dev/null || exit 0
if ! systemctl is-active -q claude; then
    rm -f /var/lib/claude/ready
    mkdir -p /var/lib/claude
    systemd-run --quiet --unit=claude --property=StandardOutput=file:/var/lib/claude/ready \
        elio sim --listen 127.0.0.1:8443 --dir /var/lib/claude --key sk-device-test --ttft 200 --log-words --replies $SHARE/guest/replies.toml
fi
wait_for 20 "the simulated Claude" test -s /var/lib/claude/ready
chmod 755 /var/lib/claude
chmod 644 /var/lib/claude/ca.pem
