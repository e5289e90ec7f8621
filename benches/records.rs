//! `elio latency` on many turns: 100,000 records as `journalctl -o json` writes them, and the memory that ten times as many
//! take.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run says why and ends")]

use std::cell::Cell;
use std::io::{self, BufWriter, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use elio::clock::Mono;
use elio::latency::{Facts, Instants, MESSAGE_ID, Outcome, Record};
use serde_json::{Map, Value, json};

/// Ten minutes from one to the next: 144 a day.
const STEP_S: u64 = 600;
/// The second of the first one, in 2004: those of a million more have as many digits.
const START_S: u64 = 1_100_000_000;
/// Records that differ in more than their time; the next ones repeat them.
const DIFFERENT: u64 = 10_000;

/// Fields that journald adds to each entry, with values of their usual length.
const JOURNALD: [(&str, &str); 22] = [
    ("_BOOT_ID", "9d3f5a1c7b2e4f60a8c1d2e3f4a5b6c7"),
    ("_CAP_EFFECTIVE", "800000"),
    ("_CMDLINE", "/usr/bin/elio run"),
    ("_COMM", "elio"),
    ("_EXE", "/usr/bin/elio"),
    ("_GID", "988"),
    ("_HOSTNAME", "kitchen"),
    ("_MACHINE_ID", "1f2e3d4c5b6a79880f1e2d3c4b5a6978"),
    ("_PID", "1234"),
    ("_RUNTIME_SCOPE", "system"),
    ("_SELINUX_CONTEXT", "unconfined\n"),
    ("_SOURCE_REALTIME_TIMESTAMP", "1577836800000000"),
    ("_SYSTEMD_CGROUP", "/system.slice/elio.service"),
    ("_SYSTEMD_INVOCATION_ID", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"),
    ("_SYSTEMD_SLICE", "system.slice"),
    ("_SYSTEMD_UNIT", "elio.service"),
    ("_TRANSPORT", "journal"),
    ("_UID", "988"),
    ("CODE_MODULE", "elio::latency::journal"),
    ("PRIORITY", "6"),
    ("SYSLOG_IDENTIFIER", "elio"),
    ("TARGET", "elio::record"),
];

/// Numbers in no order, the same in every run.
struct Random(u64);

impl Random {
    /// A time of `least` to `least + spread` ms, in whole microseconds.
    fn ms(&mut self, least: u64, spread: u64) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_micros(least * 1_000 + (self.0 >> 33) % (spread * 1_000))
    }
}

/// One turn as it is recorded: answered, with every stage.
fn record(index: u64, random: &mut Random) -> Record {
    let mut now = Mono::from_nanos(index * STEP_S * 1_000_000_000);
    let mut next = |least, spread| {
        now = now + random.ms(least, spread);
        Some(now)
    };
    let at = Instants {
        wake: next(0, 10),
        speech_start: next(200, 300),
        speech_end: next(700, 2_000),
        stt_final: next(150, 90),
        llm_sent: next(1, 2),
        commit: next(120, 500),
        llm_first_text: next(60, 200),
        chunk_ready: next(20, 30),
        tts_first_pcm: next(5, 30),
        first_audible: next(8, 12),
        llm_done: next(300, 500),
        tts_done: next(20, 90),
        playback_end: next(900, 3_000),
    };
    let facts = Facts {
        turn_id: format!("19a2b3c4d5e-{index}"),
        source: "endpoint".into(),
        stt_compute: Some(random.ms(40, 60)),
        tts_lead_silence: Some(Duration::from_millis(15)),
        speculations: 1,
        cache_read_tokens: Some(4_200),
        cache_write_tokens: Some(0),
        input_tokens: Some(60 + index % 400),
        output_tokens: Some(20 + index % 60),
        connection_reused: Some(true),
        connection_age: Some(random.ms(1_000, 3_600_000)),
        connection_wait: Some(Duration::ZERO),
        request_id: Some(format!("req_011CUabcdefghijkl{index:08}")),
        model: Some("claude-haiku-4-5".into()),
        stt_model: Some("whisper-base-q5_1".into()),
        voice: Some("voice-medium".into()),
        ..Facts::default()
    };
    Record::derive(&at, facts, Outcome::Answered)
}

/// Its entry, as a line of `journalctl -o json`. The time stands first, so that [`write`] finds it.
fn line(index: u64, random: &mut Random) -> Vec<u8> {
    let record = record(index, random).to_json();
    let mut entry = Map::new();
    entry.insert("__REALTIME_TIMESTAMP".into(), json!(format!("{START_S}000000")));
    entry.insert("__MONOTONIC_TIMESTAMP".into(), json!(format!("{}000000", index * STEP_S)));
    entry.insert("__CURSOR".into(), json!(format!("s=0a1b2c3d4e5f60718293a4b5c6d7e8f9;i={index:x};b=9d3f5a1c")));
    entry.extend(JOURNALD.iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
    entry.insert("MESSAGE_ID".into(), json!(MESSAGE_ID));
    for (key, value) in record.iter().filter(|(_, value)| !value.is_null()) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        entry.insert(format!("ELIO_{}", key.to_ascii_uppercase()), Value::String(text));
    }
    entry.insert("MESSAGE".into(), json!(Value::Object(record).to_string()));
    (Value::Object(entry).to_string() + "\n").into_bytes()
}

fn lines() -> Vec<Vec<u8>> {
    let mut random = Random(1);
    (0..DIFFERENT).map(|index| line(index, &mut random)).collect()
}

/// Writes so many entries, in the order of time.
fn write(out: &mut impl Write, lines: &mut [Vec<u8>], count: u64) -> io::Result<()> {
    let place = "{\"__REALTIME_TIMESTAMP\":\"".len();
    for index in 0..count {
        let line = &mut lines[(index % DIFFERENT) as usize];
        line[place..place + 10].copy_from_slice((START_S + index * STEP_S).to_string().as_bytes());
        out.write_all(line)?;
    }
    out.flush()
}

fn latency() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elio"));
    command.args(["latency", "--json", "--file"]).stdout(Stdio::null());
    command
}

/// How long it takes to read so many from standard input, and the most memory that it had in use, in KiB.
fn read(lines: &mut [Vec<u8>], count: u64) -> io::Result<(Duration, u64)> {
    let from = Mono::now();
    let mut child = latency().arg("-").stdin(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    write(&mut BufWriter::with_capacity(1 << 16, &mut input), lines, count)?;
    // What follows the records fills the pipe: once it is written, they have all been read.
    input.write_all(&[b'\n'; 1 << 17])?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    drop(input);
    assert!(child.wait()?.success(), "elio latency failed");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    Ok((from.elapsed(), peak.ok_or(io::ErrorKind::InvalidData)?))
}

fn records(criterion: &mut Criterion) {
    const COUNT: u64 = 100_000;
    let mut lines = lines();
    let file = tempfile::NamedTempFile::new().unwrap();
    write(&mut BufWriter::with_capacity(1 << 16, &file), &mut lines, COUNT).unwrap();
    let runs = Cell::new(0);
    let mut group = criterion.benchmark_group("records");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).throughput(Throughput::Elements(COUNT));
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(1));
    group.bench_function("latency_100000", |bencher| {
        bencher.iter(|| {
            runs.set(runs.get() + 1);
            assert!(latency().arg(file.path()).status().is_ok_and(|status| status.success()), "elio latency failed");
        });
    });
    group.finish();
    // Criterion runs it once where it is only tested, and never where another bench is wanted.
    if runs.get() > 1 {
        println!("{} bytes a record", file.as_file().metadata().unwrap().len() / COUNT);
        for count in [COUNT, 10 * COUNT] {
            let (time, kib) = read(&mut lines, count).unwrap();
            println!("{count} records by standard input: {:.2} s, {kib} KiB at most", time.as_secs_f64());
        }
    }
}

criterion_group!(benches, records);
criterion_main!(benches);
