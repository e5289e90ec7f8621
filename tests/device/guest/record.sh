# Each record is one entry with every key of it as a field, and `elio latency` reads them all.
records | tail -n 1 | jq -e '
    (.MESSAGE | fromjson) as $record | . as $entry
    | $record | to_entries | map(select(.value != null))
    | map(. as $pair | $entry["ELIO_" + ($pair.key | ascii_upcase)]
        | . != null and (. == ($pair.value | tostring) or ((try tonumber catch null) == $pair.value)))
    | length > 20 and all' >/dev/null ||
    fail "a key of the record is not a field of its entry: $(records | tail -n 1)"
for key in turn_id outcome stt_ms llm_ttft_ms llm_total_ms tts_ttfb_ms tts_total_ms total_perceived_ms cache_hit endpoint_ms; do
    last | jq -e --arg k $key '.[$k] != null' >/dev/null || fail "$key is missing: $(last)"
done
counted=$(elio latency --json --by all | jq .all.turns)
[ "$counted" = "$(count)" ] || fail "elio latency counts $counted turns, the journal has $(count)"
! journalctl -u elio | grep -qi "sk-device-test" || fail "the key is in the journal"
# Words of the questions that were asked until now, and of their answers (replies.toml).
asked=$(journalctl -u elio -o cat | grep -iE "kitchen|lights|weather|temps|milk|bread|lait|pain" || true)
[ -z "$asked" ] || fail "what was said is in the journal: $asked"
