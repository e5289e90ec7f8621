# The board's lines, the key and the configuration; then the service, as the README says it.
bash /share/guest/board.sh
chip=$(cat $GPIO/bank0/chip_name)
group_is_gpio() { [ "$(stat -c %G "/dev/$chip")" = gpio ]; }
wait_for 5 "the group gpio on /dev/$chip (udev rule)" group_is_gpio
install -m 600 /dev/stdin /etc/elio/anthropic-api-key <<<sk-device-test
install -m 644 $SHARE/guest/elio.toml /etc/elio/elio.toml.d/50-board.toml
elio check
systemctl enable -q elio
systemctl start elio
wait_for 60 "warm" warm
times
journalctl -b -u elio -o short-monotonic
systemctl show -P StatusText elio | sed 's/^/    STATUS=/'
