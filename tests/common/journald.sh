#!/bin/sh
# Runs a program under a journald of its own: sh journald.sh FOLDER PROGRAM ARGS…
# The journal's files lie in FOLDER, journald's process number in FOLDER.pid (whoever starts this ends it);
# standard error goes to the journal. Must run inside `unshare --mount`.
set -eu
folder=$1
shift
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
mount --bind "$folder" /run/log/journal
# The service manager of the test is for the program, not for journald.
env -u NOTIFY_SOCKET -u WATCHDOG_USEC SYSTEMD_LOG_TARGET=null /lib/systemd/systemd-journald >/dev/null 2>&1 &
echo $! >"$folder.pid"
for _ in $(seq 100); do
    [ -S /run/systemd/journal/stdout ] && break
    sleep 0.05
done
# What the service manager sets for a service whose standard error is the journal (systemd.exec(5)).
# shellcheck disable=SC2016 # expanded by the inner shell
exec systemd-cat --identifier=elio -- sh -c 'JOURNAL_STREAM=$(stat --dereference --format=%d:%i /proc/self/fd/2) exec "$@"' sh "$@"
