# The disk is full to the last block: the turn is answered, and its record is in the journal or in the spool.
before=$(count)
fallocate -l "$(($(stat -f -c '%a * %S' /var) - 1000000))" /var/fill || true
dd if=/dev/zero of=/var/fill2 bs=4096 2>/dev/null || true
say "free: $(stat -f -c %a /var) blocks"
press
sleep 0.2
release
speak en-lights
sleep 1
wait_for 40 "idle" state_is idle
id=$(status .last_turn.turn_id)
status .last_turn | jq -e '.outcome == "answered"' >/dev/null || fail "$(status .last_turn)"
in_spool() { grep -q "\"$id\"" /var/lib/elio/records.jsonl; }
in_journal() { records | grep -q "$id"; }
in_spool && say "the spool has it" || true
in_journal && say "the journal has it" || true
in_spool || in_journal || fail "record $id is lost"
rm -f /var/fill /var/fill2
systemctl restart elio
wait_for 60 "warm" warm
wait_for 10 "the record in the journal" in_journal
[ "$(count)" = $((before + 1)) ] || fail "$(count) records, $((before + 1)) are wanted"
