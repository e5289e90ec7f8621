//! A point in time as journalctl's `--since` takes it, for the files that journalctl does not filter.

use jiff::civil::{DateTime, Time};
use jiff::{Span, Timestamp, ToSpan, Zoned};

/// Reads `now`, `today`, `yesterday`, `tomorrow`, `-24h`, `2 days ago`, `2026-11-20`, `2026-11-20 14:00`, `14:00` (of
/// today), `@SECONDS` or an RFC 3339 timestamp; none where it is neither. What names no time zone is in that of `now`.
pub fn parse(text: &str, now: &Zoned) -> Option<Timestamp> {
    let text = text.trim();
    let local = |at: DateTime| Some(at.to_zoned(now.time_zone().clone()).ok()?.timestamp());
    let day = |days: i64| local(now.date().checked_add(days.days()).ok()?.into());
    match text {
        "now" => return Some(now.timestamp()),
        "today" => return day(0),
        "yesterday" => return day(-1),
        "tomorrow" => return day(1),
        _ => {}
    }
    if let Some(seconds) = text.strip_prefix('@') {
        let micros = seconds.parse::<f64>().ok()? * 1e6;
        return Timestamp::from_microsecond(micros as i64).ok();
    }
    if text.starts_with(['-', '+']) || text.ends_with(" ago") {
        return Some(now.checked_add(text.parse::<Span>().ok()?).ok()?.timestamp());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let at = text.parse().or_else(|_| text.parse::<Time>().map(|time| now.date().to_datetime(time)));
    local(at.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_journalctl_takes_is_read() {
        let now: Zoned = "2026-11-20T14:12:56+01:00[Europe/Paris]".parse().unwrap();
        for (text, utc) in [
            ("now", "2026-11-20T13:12:56Z"),
            ("today", "2026-11-19T23:00:00Z"),
            (" yesterday", "2026-11-18T23:00:00Z"),
            ("tomorrow", "2026-11-20T23:00:00Z"),
            ("-24h", "2026-11-19T13:12:56Z"),
            ("-1h30min", "2026-11-20T11:42:56Z"),
            ("+1h", "2026-11-20T14:12:56Z"),
            ("2 days ago", "2026-11-18T13:12:56Z"),
            ("2026-07-01", "2026-06-30T22:00:00Z"),
            ("2026-11-20 14:00", "2026-11-20T13:00:00Z"),
            ("2026-11-20 14:00:30", "2026-11-20T13:00:30Z"),
            ("08:05", "2026-11-20T07:05:00Z"),
            ("@1700000000", "2023-11-14T22:13:20Z"),
            ("2026-11-20T14:00:00Z", "2026-11-20T14:00:00Z"),
            ("2026-11-20T14:00:00+02:00", "2026-11-20T12:00:00Z"),
        ] {
            assert_eq!(parse(text, &now).map(|at| at.to_string()).as_deref(), Some(utc), "{text}");
        }
        for text in ["", "soon", "24h", "-", "@", "@x", "2026-13-01", "ago", "25:00"] {
            assert_eq!(parse(text, &now), None, "{text}");
        }
    }
}
