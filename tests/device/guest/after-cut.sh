# The boot after a power cut: ready, every record of before is there, and a turn is answered.
say "boot to this scenario: $(now) s"
wait_for 60 "warm" warm
times
for id in $(cat $SHARE/out/ids-before-cut); do
    records | grep -q "\"$id\"" || fail "record $id is lost"
done
say "$(cat $SHARE/out/records-before-cut) records of before the cut are there, $(records ELIO_REPLAYED=1 | wc -l) of them from the spool"
turn en-lights
answered
