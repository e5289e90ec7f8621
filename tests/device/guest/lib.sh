# What the scenarios share. Each runs in a shell of its own with `set -eu`; a line that fails fails the scenario.
set -eu
export LC_ALL=C.UTF-8 SYSTEMD_PAGER= SYSTEMD_COLORS=0
SHARE=/share
RECORD_ID=6f0e9c1b8d5a4f3e9a7c2d4b1e8f6035
QUESTIONS=/usr/share/elio/models/demo/questions
GPIO=/sys/kernel/config/gpio-sim/board

fail() {
    echo "FAIL: $*"
    exit 1
}
say() { echo "    $*"; }

# Seconds with a fraction since the boot, which no step of the wall clock moves.
now() { cut -d' ' -f1 /proc/uptime; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }

wait_for() { # SECONDS WHAT COMMAND...: until the command succeeds
    local limit=$1 what=$2 begun
    shift 2
    begun=$(now)
    until "$@" >/dev/null 2>&1; do
        if awk -v a="$begun" -v b="$(now)" -v l="$limit" 'BEGIN { exit !(b - a > l) }'; then
            fail "$what: not within $limit s"
        fi
        sleep 0.1
    done
}

# --- the lines of the board

line_file() { # LINE NAME: a file of the simulated line
    local chip
    chip=$(cat $GPIO/bank0/chip_name)
    echo "/sys/devices/platform/$(cat $GPIO/dev_name)/$chip/sim_gpio$1/$2"
}
pull() { echo "pull-$2" >"$(line_file "$1" pull)"; }
press() { pull 0 up; }
release() { pull 0 down; }
led() { cat "$(line_file 1 value)"; }
led_is() { [ "$(led)" = "$1" ]; }
mute() { pull 2 "$1"; }

# --- the daemon, and what it wrote

status() { elio status --json | jq -r "$1"; }
status_is() { [ "$(status "$1")" = "$2" ]; }
state_is() { [ "$(status .state)" = "$1" ]; }
warm() { [ "$(status .state)" = idle ]; }
records() { journalctl --all -o json MESSAGE_ID=$RECORD_ID "$@"; }
count() { records | wc -l; }
has_records() { [ "$(count)" -ge "$1" ]; }
last() { records | tail -n 1 | jq -r .MESSAGE; }
entry_with() { journalctl -u elio -o json "$@" | grep -q .; }
# Elio's own lines are on the disk, in both languages (src/turn/phrases.rs).
lines_kept() { [ "$(find /var/lib/elio/lines -name '*.pcm' | wc -l)" -ge 24 ]; }
restarts() { systemctl show -P NRestarts elio; }

# From the start of the process to READY as systemd saw it, and what the daemon says of itself; both are goals (run reads them).
times() {
    local from to
    from=$(systemctl show -P ExecMainStartTimestampMonotonic elio)
    to=$(systemctl show -P ActiveEnterTimestampMonotonic elio)
    goal "started to READY" $(((to - from) / 1000)) 1500
    goal "started to warm" "$(status .warm_ms)" 4000
    journalctl -b -u elio -o cat | grep -E "^(ready|warm) after" | tail -n 2 | sed 's/^/    /'
}
# Goals of User-Mode Linux's board: the clock of the emulated one counts instructions.
goal() { # WHAT MS MOST
    local verdict=", goal $3 ms: met"
    [ "${2%%.*}" -le "$3" ] || verdict=", goal $3 ms: MISSED"
    [ "$(dpkg --print-architecture)" = amd64 ] || verdict=
    say "$1: ${2%%.*} ms$verdict"
}

# --- the fault state

fault_shown() { systemctl is-active -q elio-fault; }
# The service stays down, and it is seen.
given_up() {
    wait_for 40 "elio-fault.service" fault_shown
    wait_for 10 "the lit LED" led_is 1
    wait_for 10 "the dark LED: it blinks" led_is 0
    systemctl is-failed -q elio || fail "elio.service is $(systemctl is-active elio)"
}
# As the documents say it, and a turn is answered.
back_again() {
    systemctl reset-failed elio
    systemctl start elio
    ! fault_shown || fail "elio-fault.service still runs"
    wait_for 60 "warm" warm
    turn en-lights
    answered
}

# --- speech

not_playing() { ! pgrep -x aplay; }
speak() { aplay -q -D plughw:Loopback,0,0 "$SHARE/sounds/$1.wav"; }

record_start() { # NAME: what leaves the speaker, from now on
    arecord -q -t raw -D plughw:Loopback,0,1 -f S16_LE -r 16000 -c 1 "$SHARE/out/$1.raw" &
    RECORDER=$!
    sleep 0.5
}
record_stop() {
    # The card is some periods behind.
    sleep 0.5
    kill $RECORDER
    wait $RECORDER || true
}

# One turn in press mode: press, the question of a sound file, the answer. Its record is what `last` prints.
turn() { # SOUND
    local before
    before=$(count)
    press
    sleep 0.2
    release
    speak "$1"
    wait_for 40 "the record of a turn" has_records $((before + 1))
    wait_for 40 "idle after a turn" state_is idle
}
# The last record is of such a failure, and `journalctl -x` explains it with its mend.
failed() { # KIND WORDS OF THE MEND
    [ "$(last | jq -r .outcome)" = "failed:$1" ] || fail "outcome $(last | jq -r .outcome), failed:$1 is wanted: $(last)"
    journalctl -x -b -u elio | tr -d '░' | tr -s '\n ' ' ' | grep -q "Mend: .*$2" ||
        fail "journalctl -x has no mend of it: $(journalctl -x -b -u elio -n 20)"
    say "failed:$1 in the record, and its mend in journalctl -x"
}
answered() {
    last | jq -e '.outcome == "answered"' >/dev/null || fail "outcome $(last | jq -r .outcome): $(last)"
    last | jq -r '"    turn: end of speech to sound \(.total_perceived_ms | round) ms, stt \(.stt_ms | round), ttft \(.llm_ttft_ms | round), voice \(.tts_ttfb_ms | round)"'
}
