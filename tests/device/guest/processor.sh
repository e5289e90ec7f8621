# On a processor with dot products and half precision the program for them is what runs.
grep -qw asimddp /proc/cpuinfo || fail "this board's processor has no dot products: $(grep -m 1 Features /proc/cpuinfo)"
program=$(readlink "/proc/$(systemctl show -P MainPID elio)/exe")
[ "$program" = /usr/lib/elio/armv8.2-a/elio ] || fail "the service runs $program"
say "the service runs $program"
