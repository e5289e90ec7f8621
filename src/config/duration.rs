//! Durations with their unit: `300ms`, `1.5s`, `2m`, `1m 30s`. Decimals are exact to the nanosecond.

use std::time::Duration;

/// Units from the longest to the shortest, in nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads a duration; none where a number or its unit is missing or wrong, or the sum passes 584 years.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let tail = tail.trim_start();
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len()));
        let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, nanos)| u128::from(*nanos))?;
        let (whole, part) = match number.split_once('.') {
            Some((_, part)) if part.len() > 9 => return None,
            Some((whole, part)) => (whole, part.parse::<u128>().ok()? * unit / 10u128.pow(part.len() as u32)),
            None => (number, 0),
        };
        total += u128::from(whole.parse::<u64>().ok()?) * unit + part;
        rest = tail.trim_start();
    }
    u64::try_from(total).ok().map(Duration::from_nanos)
}

/// Writes a duration in the longest unit that divides it, as [`parse`] reads it.
pub(super) fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".into();
    }
    match UNITS.iter().find(|(_, unit)| nanos.is_multiple_of(u128::from(*unit))) {
        Some((name, unit)) => format!("{}{name}", nanos / u128::from(*unit)),
        None => format!("{nanos}ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_decimals_and_sums_are_read_exactly() {
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(parse("300ms"), ms(300));
        assert_eq!(parse(" 1.5s "), ms(1500));
        assert_eq!(parse("2m"), ms(120_000));
        assert_eq!(parse("1m 30s"), ms(90_000));
        assert_eq!(parse("1h1ms"), ms(3_600_001));
        assert_eq!(parse("0.1ms"), Some(Duration::from_micros(100)));
        assert_eq!(parse("0 s"), ms(0));
    }

    #[test]
    fn what_has_no_unit_or_no_number_is_refused() {
        for text in [
            "",
            "300",
            "ms",
            "-1s",
            "1.s",
            "1.2.3s",
            "1,5s",
            "3 sec",
            "1s2",
            "1e3s",
            "99999999999999999999s",
            "9999999999h",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nanos in any::<u64>(), unit in 0usize..6) {
            let duration = Duration::from_nanos(nanos / UNITS[unit].1 * UNITS[unit].1);
            prop_assert_eq!(parse(&format(duration)), Some(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9.smhun µ]{0,24}|\\PC{0,12}") {
            parse(&text);
        }
    }
}
