# The board's lines, the key and the configuration; then the service, as the README says it.
bash /share/guest/board.sh
chip=$(cat $GPIO/bank0/chip_name)
group_is_gpio() { [ "$(stat -c %G "/dev/$chip")" = gpio ]; }
wait_for 5 "the group gpio on /dev/$chip (udev rule)" group_is_gpio
install -m 600 /dev/stdin /etc/elio/anthropic-api-key <<<sk-device-test
install -m 644 $SHARE/guest/elio.toml /etc/elio/elio.toml.d/50-board.toml
elio check
begun=$(now)
systemctl enable -q --now elio
say "systemctl start to READY: $(since "$begun") s"
wait_for 60 "warm" warm
say "to warm: $(since "$begun") s"
journalctl -u elio -o cat | grep -E "^(ready|warm) after" | sed 's/^/    /'
systemctl show -P StatusText elio | sed 's/^/    STATUS=/'
