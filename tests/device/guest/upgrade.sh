# A newer package keeps the configuration, its changed file too, and restarts the service.
echo "# mine" >>/etc/elio/elio.toml
pid=$(systemctl show -P MainPID elio)
DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends $SHARE/elio-next.deb
[ "$(dpkg-query -W -f '${Version}' elio)" = 99.0-1 ] || fail "version $(dpkg-query -W elio)"
tail -n 1 /etc/elio/elio.toml | grep -q "# mine" || fail "the changed configuration is gone"
[ -s /etc/elio/anthropic-api-key ] && [ -s /etc/elio/elio.toml.d/50-board.toml ] || fail "key or drop-in is gone"
new_pid() { [ "$(systemctl show -P MainPID elio)" != "$pid" ]; }
wait_for 30 "the restart" new_pid
wait_for 60 "warm" warm
turn en-lights
answered
