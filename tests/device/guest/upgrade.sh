# A newer package keeps the configuration and restarts the service. Its own elio.toml has changed as well as the one here, which is
# where dpkg asks a person; without one it is told what to answer (docs/install.md).
echo "# mine" >>/etc/elio/elio.toml
pid=$(systemctl show -P MainPID elio)
DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold install -y --no-install-recommends $SHARE/elio-next.deb </dev/null
[ "$(dpkg-query -W -f '${Version}' elio)" = 99.0-1 ] || fail "version $(dpkg-query -W elio)"
tail -n 1 /etc/elio/elio.toml | grep -q "# mine" || fail "the changed configuration is gone"
grep -q "# newer" /etc/elio/elio.toml.dpkg-dist || fail "the newer default is not beside it"
[ -s /etc/elio/anthropic-api-key ] && [ -s /etc/elio/elio.toml.d/50-board.toml ] || fail "key or drop-in is gone"
new_pid() { [ "$(systemctl show -P MainPID elio)" != "$pid" ]; }
wait_for 30 "the restart" new_pid
wait_for 60 "warm" warm
turn en-lights
answered
