# The wall clock steps by a day, as when NTP sets the clock of a board without a battery.
date -s "+1 day" >/dev/null
turn en-lights
answered
last | jq -e '.total_perceived_ms > 0 and .total_perceived_ms < 60000' >/dev/null || fail "$(last)"
date -s "-1 day" >/dev/null
turn fr-music
answered
