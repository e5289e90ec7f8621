#!/bin/sh
# Runs a program under a journald of its own: sh journald.sh FOLDER PROGRAM ARGS…
# The journal's files lie in FOLDER, standard error goes to the journal. Must run inside `unshare --mount`.
set -eu
folder=$1
shift
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
mount --bind "$folder" /run/log/journal
SYSTEMD_LOG_TARGET=null /lib/systemd/systemd-journald &
for _ in $(seq 100); do
    [ -S /run/systemd/journal/stdout ] && break
    sleep 0.05
done
exec systemd-cat --identifier=elio -- "$@"
