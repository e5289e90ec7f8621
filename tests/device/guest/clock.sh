# The wall clock steps by a day, as when NTP sets the clock of a board without a battery. A record is found by its turn: entries of a
# clock that went back have no order, and one run in seven counted one too few while the newest was there.
asked() { # SOUND
    local before id
    before=$(status .last_turn.turn_id)
    press
    sleep 0.2
    release
    speak "$1"
    over() { [ "$(status .last_turn.turn_id)" != "$before" ]; }
    wait_for 40 "the end of the turn" over
    id=$(status .last_turn.turn_id)
    recorded() { records ELIO_TURN_ID="$id" | grep -q .; }
    wait_for 10 "the record of turn $id" recorded
    wait_for 40 "idle after the turn" state_is idle
    last() { records ELIO_TURN_ID="$id" | jq -r .MESSAGE; }
    answered
    last | jq -e '.total_perceived_ms > 0 and .total_perceived_ms < 60000' >/dev/null || fail "$(last)"
}
date -s "+1 day" >/dev/null
asked en-lights
date -s "-1 day" >/dev/null
asked fr-music
