//! The machine under a bench: figures of one say nothing of another.

use std::collections::BTreeMap;
use std::fs::read_to_string;

use serde_json::Value;

/// Processor, its cores and those of them that this process may use, kernel.
pub fn describe() -> BTreeMap<String, Value> {
    let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = info.lines().filter(|line| line.starts_with("processor")).count().max(usable);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let facts: [(&str, Value); 4] = [
        ("cpu", cpu(&info).into()),
        ("cores", cores.into()),
        ("cores_usable", usable.into()),
        ("kernel", kernel.trim().into()),
    ];
    facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Load averages of the last 1, 5 and 15 minutes.
pub fn load() -> Vec<f64> {
    let text = read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).filter_map(|word| word.parse().ok()).collect()
}

/// The processor's name: x86 has it in cpuinfo; of an ARM board the device tree names the board.
fn cpu(info: &str) -> String {
    let board = || read_to_string("/proc/device-tree/model").ok().map(|name| name.trim_end_matches('\0').to_owned());
    field(info, "model name").map(str::to_owned).or_else(board).unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn field<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    let value = |line: &'a str| Some(line.strip_prefix(key)?.trim_start().strip_prefix(':')?.trim());
    info.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_name_and_a_load() {
        let machine = describe();
        assert!(machine["cpu"].as_str().is_some_and(|cpu| !cpu.is_empty()));
        assert!(machine["cores"].as_u64().is_some_and(|cores| cores > 0));
        assert_eq!(load().len(), 3);
        assert_eq!(field("processor\t: 0\nmodel name\t: A chip @ 2 GHz\n", "model name"), Some("A chip @ 2 GHz"));
    }
}
