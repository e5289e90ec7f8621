//! No text makes the configuration panic.

use proptest::prelude::*;

use super::{Home, good, load, repository};

/// Text that looks enough like TOML to get past the parser now and then.
fn toml_like() -> impl Strategy<Value = String> {
    let known = load(repository("configs/elio.toml")).effective.into_iter().map(|e| e.key);
    let keys: Vec<String> = known.chain(["wake", "audio.capture", "x"].map(String::from)).collect();
    let value = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:?}")),
        "\"[a-z0-9.:/@µ…]{0,12}\"",
        "\"[0-9]{1,3}(\\.[0-9])?(ms|s|m)\"",
        "(\\[|\\{)[a-z\"=,]{0,6}(\\]|\\})",
        Just("[\"en\", \"fr\"]".to_owned()),
        Just("2026-11-20T10:00:00Z".to_owned()),
        "\\PC{0,8}",
    ];
    let line = (proptest::sample::select(keys), value).prop_map(|(key, value)| format!("{key} = {value}\n"));
    prop_oneof![
        3 => proptest::collection::btree_set(line, 0..4).prop_map(|lines| lines.into_iter().collect()),
        1 => "(\\PC|\\n){0,60}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    /// Either a configuration that survives its own print, or faults of one line each; never a panic.
    #[test]
    fn any_text_is_a_configuration_or_its_faults(toml in toml_like(), raw in "\\PC{0,20}", key in "[a-z_.]{0,20}") {
        let home = Home::new(&toml);
        let env = [("ELIO_ENDPOINT__SILENCE", raw.as_str()), ("ELIO_MODELS", &raw)];
        if let Err(faults) = home.load(&env, &[&format!("{key}={raw}")]) {
            prop_assert_eq!(faults.to_string().lines().count(), faults.iter().len());
            prop_assert!(faults.iter().all(|fault| !fault.to_string().contains(char::is_control)));
        }
        if let Ok(loaded) = home.load(&[], &[]) && !loaded.to_toml().contains("<hidden>") {
            prop_assert_eq!(good(&loaded.to_toml()), loaded.config);
        }
    }
}
