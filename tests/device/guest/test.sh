#!/bin/bash
# Runs the scenarios of /share/plan, in order, and writes a line of JSON for each into /share/results. A scenario that fails does
# not end the run: the next ones say what still works.
. /share/guest/lib.sh
set +e
mkdir -p $SHARE/out
for name in $(cat $SHARE/plan); do
    begun=$(now)
    bash -c ". /share/guest/lib.sh; . /share/guest/$name.sh" >"$SHARE/out/$name.log" 2>&1
    rc=$?
    took=$(since "$begun")
    if [ $rc -ne 0 ]; then
        journalctl -u elio -u claude -n 60 --no-pager -o short-monotonic >>"$SHARE/out/$name.log"
    fi
    printf '{"scenario":"%s","rc":%d,"seconds":%s}\n' "$name" $rc "$took" >>$SHARE/results
    sync
done
echo done >$SHARE/finished
