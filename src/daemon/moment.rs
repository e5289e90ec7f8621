//! What Claude is told of the moment: it changes with every turn, so it stands after the cached prefix.

use jiff::Zoned;

use crate::config::Language;

/// Date, time and zone, and the language that was heard.
pub fn describe(now: &Zoned, heard: Language) -> String {
    let language = match heard {
        Language::En => "English",
        Language::Fr => "French",
    };
    let zone = now.time_zone().iana_name().map(|name| format!(" ({name})")).unwrap_or_default();
    format!("It is {}{zone}. The person spoke {language}.", now.strftime("%A %-d %B %Y, %H:%M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_day_time_zone_and_language() {
        let now = "2026-11-20T09:05:00+01:00[Europe/Paris]".parse::<Zoned>().unwrap();
        let text = describe(&now, Language::Fr);
        assert_eq!(text, "It is Friday 20 November 2026, 09:05 (Europe/Paris). The person spoke French.");
    }
}
