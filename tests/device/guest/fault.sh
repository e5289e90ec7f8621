# A configuration that cannot be served ends in a fault that is seen: the LED blinks, the journal has the mend; and back.
wait_for 60 "the kept lines" lines_kept
trap 'rm -f /etc/elio/elio.toml.d/70-bad.toml' EXIT
printf '[stt]\nmodel = "no-such-model"\n' >/etc/elio/elio.toml.d/70-bad.toml
record_start fault
systemctl restart elio || true
given_up
journalctl -u elio-fault -o cat | grep -q "journalctl -u elio" || fail "the mend is not in the journal: $(journalctl -u elio-fault -o cat)"
said() { journalctl -u elio-fault -o cat | grep -q "said aloud"; }
wait_for 20 "the line that it says" said
record_stop
cp -r /var/lib/elio/lines $SHARE/out/
rm /etc/elio/elio.toml.d/70-bad.toml
back_again
