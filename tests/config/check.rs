//! `elio check` as a script meets it: exit codes, standard output, standard error.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn check(file: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elio"));
    command.env_clear().env("ELIO_CONFIG", file).envs(env.iter().copied());
    command.arg("check").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_good_configuration_exits_0_and_names_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("elio.toml");
    fs::write(&file, "stt.threads = 3").unwrap();
    let plain = check(&file, &[], &[]);
    assert_eq!((plain.status.code(), text(&plain.stderr)), (Some(0), String::new()));
    assert_eq!(text(&plain.stdout), format!("the configuration is good: {}\n", file.display()));

    let printed = check(&file, &["--print", "--set", "stt.gpu=true"], &[("ELIO_WAKE__MODE", "hold")]);
    assert_eq!(printed.status.code(), Some(0));
    let printed = text(&printed.stdout);
    assert!(printed.contains(&format!("\nthreads = 3  # {}:1\n", file.display())), "{printed}");
    assert!(printed.contains("\ngpu = true  # flag --set\n"), "{printed}");
    assert!(printed.contains("\nmode = \"hold\"  # environment ELIO_WAKE__MODE\n"), "{printed}");

    fs::write(&file, &printed).unwrap();
    let again = check(&file, &["--print", "--json"], &[]);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&again["ok"], &again["files"], &again["faults"]), (&json!(true), &json!([file]), &json!([])));
    assert_eq!((&again["config"]["stt"]["threads"], &again["config"]["wake"]["mode"]), (&json!(3), &json!("hold")));
    assert!(again["origins"]["stt.gpu"].as_str().unwrap().starts_with(&format!("{}:", file.display())));
}

#[test]
fn five_faults_exit_78_each_on_a_line_of_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("elio.toml");
    let toml =
        "[endpoint]\nsilense = \"1s\"\nthreshold = 2\n[wake]\nmode = \"x\"\n[stt]\ngpu = 1\n[daemon]\ndrain = 5\n";
    fs::write(&file, toml).unwrap();
    let plain = check(&file, &["--print"], &[]);
    assert_eq!((plain.status.code(), text(&plain.stdout)), (Some(78), String::new()));
    let stderr = text(&plain.stderr);
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines[0], "elio: the configuration has 5 faults");
    let keys =
        [(2, "endpoint.silense"), (3, "endpoint.threshold"), (5, "wake.mode"), (7, "stt.gpu"), (9, "daemon.drain")];
    assert_eq!(lines.len(), 1 + keys.len(), "{stderr}");
    for (text, (line, key)) in lines[1..].iter().zip(keys) {
        assert!(text.starts_with(&format!("{}:{line}: {key} = ", file.display())), "{text}");
    }

    let json = check(&file, &["--json"], &[]);
    assert_eq!(json.status.code(), Some(78));
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["ok"], &json["files"]), (&json!(false), &json!([file])));
    assert_eq!(
        json["faults"][0],
        json!({
            "file": file, "line": 2, "origin": format!("{}:2", file.display()), "key": "endpoint.silense",
            "value": "\"1s\"", "message": "unknown key", "nearest": "endpoint.silence",
        })
    );
    assert_eq!(json["faults"].as_array().unwrap().len(), 5);
}

#[test]
fn one_fault_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("absent.toml");
    let output = check(&file, &[], &[]);
    assert_eq!(output.status.code(), Some(78));
    let mend = "there is no such file; name one that exists with --config or ELIO_CONFIG";
    assert_eq!(text(&output.stderr), format!("elio: {}: {mend}\n", file.display()));
}
