//! libonnxruntime: where it is found, and the sessions made with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use super::one_line;
use crate::config::Provider;

const LIBRARY: &str = "libonnxruntime.so";

/// ONNX Runtime allows one environment in a process, made once: here it stays.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// Opens libonnxruntime at `configured`, or where it is found; the first time decides for the process. The error names
/// the key or the file, and the mend.
pub(crate) fn environment(configured: Option<&Path>) -> Result<Environment, String> {
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*environment {
        return Ok(environment.clone());
    }
    let made = match configured {
        Some(path) if path.is_file() => open(path)?,
        Some(path) => {
            let path = path.display();
            return Err(format!(
                "tts.onnxruntime {path}: no such file: give the path of {LIBRARY}, or leave the key out"
            ));
        }
        None => find()?,
    };
    made.set_log_level(LogLevel::Warning);
    Ok(environment.insert(made).clone())
}

/// The first library that can be used, of those that are found.
fn find() -> Result<Environment, String> {
    let program = std::env::current_exe().unwrap_or_default();
    let mut refused = None;
    for path in folders(&program).iter().filter_map(|folder| in_folder(folder)) {
        match open(&path) {
            Ok(environment) => return Ok(environment),
            // The board's own build may be older than what this program asks for.
            Err(fault) => {
                log::warn!("{fault}");
                refused.get_or_insert(fault);
            }
        }
    }
    Err(refused.unwrap_or_else(|| {
        let program = program.display();
        format!("{LIBRARY} is not beside {program}, nor where the system keeps libraries: run `make setup`, or set tts.onnxruntime")
    }))
}

fn open(path: &Path) -> Result<Environment, String> {
    let unusable = |error: &dyn std::fmt::Display| {
        format!(
            "{}: cannot be used as ONNX Runtime: {}: run `make setup`, or set tts.onnxruntime",
            path.display(),
            one_line(error)
        )
    };
    let made = ort::init_from(path).map_err(|error| unusable(&error))?;
    let made = made.with_name("elio").with_telemetry(false).with_logger(Arc::new(log_message)).build();
    let made = made.map_err(|error| unusable(&error))?;
    log::info!("ONNX Runtime: {}", path.display());
    Ok(made)
}

fn log_message(level: LogLevel, _category: &str, _id: &str, _location: &str, message: &str) {
    let level = match level {
        LogLevel::Verbose => log::Level::Trace,
        LogLevel::Info => log::Level::Debug,
        // Warnings are about graphs and devices, and come by the dozen; an error also comes back to the caller.
        LogLevel::Warning | LogLevel::Error => log::Level::Debug,
        LogLevel::Fatal => log::Level::Error,
    };
    log::log!(target: "onnxruntime", level, "{}", one_line(message));
}

/// Where the library is looked for, in order.
fn folders(program: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(beside) = program.parent() {
        folders.push(beside.to_owned());
    }
    for above in program.ancestors().skip(1) {
        let pinned = above.join("target/onnxruntime");
        let mut versions: Vec<PathBuf> =
            fs::read_dir(pinned).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        versions.sort();
        folders.extend(versions.into_iter().rev());
    }
    // What was built for this board (its own `make install` puts it there) has the way before what came with Elio.
    folders.extend(["/usr/local/lib", "/usr/local/lib/elio"].map(PathBuf::from));
    folders.extend(program.parent().map(|beside| beside.join("../lib/elio")));
    folders.extend(["/usr/lib/elio", "/usr/lib", "/usr/lib64"].map(PathBuf::from));
    folders.push(format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH).into());
    folders
}

fn in_folder(folder: &Path) -> Option<PathBuf> {
    let plain = folder.join(LIBRARY);
    if plain.is_file() {
        return Some(plain);
    }
    // The packages of distributions have only `libonnxruntime.so.1.21` without their -dev package.
    let versioned = |entry: fs::DirEntry| entry.file_name().to_str()?.starts_with(LIBRARY).then(|| entry.path());
    fs::read_dir(folder).ok()?.flatten().filter_map(versioned).max()
}

/// Makes a session for the network at `path`. Gives the provider that it really got: a GPU that is not there is a
/// warning, and the voice runs on the CPU. `profile`: where ONNX Runtime writes which node ran where, from here on.
pub(crate) fn session(
    environment: &Environment,
    path: &Path,
    threads: Option<u16>,
    provider: Provider,
    profile: Option<&Path>,
) -> Result<(Session, Provider), String> {
    let threads = threads.map_or_else(big_cores, usize::from);
    let build = |provider| build(environment, path, threads, provider, profile);
    if provider != Provider::Cpu {
        match build(provider) {
            Ok(session) => return Ok((session, provider)),
            Err(error) => log::warn!(
                "tts.provider {}: not available, the voice runs on the CPU: {}",
                format!("{provider:?}").to_lowercase(),
                one_line(error)
            ),
        }
    }
    let session = build(Provider::Cpu).map_err(one_line)?;
    Ok((session, Provider::Cpu))
}

fn build(
    environment: &Environment,
    path: &Path,
    threads: usize,
    provider: Provider,
    profile: Option<&Path>,
) -> Result<Session, ort::Error> {
    // For each new length of text the default search tries every algorithm: 142 instead of 17 ms on one GPU.
    let cuda = || {
        let search = ep::cuda::ConvAlgorithmSearch::Heuristic;
        ep::CUDA::default().with_conv_algorithm_search(search).build().error_on_failure()
    };
    let tensorrt = || {
        // Building its engines takes minutes: they are kept where systemd gives a cache folder.
        let cache = std::env::var("CACHE_DIRECTORY").ok();
        let tensorrt = ep::TensorRT::default().with_engine_cache(cache.is_some()).with_timing_cache(cache.is_some());
        let cache = cache.unwrap_or_default();
        tensorrt.with_engine_cache_path(&cache).with_timing_cache_path(&cache).build().error_on_failure()
    };
    let providers = match provider {
        Provider::Cpu => vec![],
        Provider::Cuda => vec![cuda()],
        Provider::Tensorrt => vec![tensorrt(), cuda()],
    };
    let mut builder = Session::builder(environment)?;
    if let Some(prefix) = profile {
        builder = builder.with_profiling(prefix)?;
    }
    builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        // Between two chunks its threads would spin, and Whisper needs the cores.
        .with_config_entry("session.force_spinning_stop", "1")?
        .with_execution_providers(&providers)?
        .commit_from_file(path)
}

/// The number of the board's fastest cores, at most 4: more gain a small voice nothing.
fn big_cores() -> usize {
    let capacity = |cpu: usize| -> Option<u32> {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpu_capacity");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let capacities: Vec<u32> = (0..all).map_while(capacity).collect();
    let biggest = capacities.iter().max();
    let big = capacities.iter().filter(|capacity| Some(*capacity) == biggest).count();
    if big == 0 { all.min(4) } else { big.min(4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_beside_the_program_and_under_target() {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("target/debug/deps/elio");
        let found = || folders(&program).iter().find_map(|folder| in_folder(folder));
        for version in ["1.30.0", "1.31.1"] {
            let folder = root.path().join("target/onnxruntime").join(version);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(LIBRARY), "").unwrap();
        }
        assert_eq!(found(), Some(root.path().join("target/onnxruntime/1.31.1").join(LIBRARY)));
        let beside = root.path().join("target/debug/deps");
        fs::create_dir_all(&beside).unwrap();
        fs::write(beside.join("libonnxruntime.so.1.21"), "").unwrap();
        assert_eq!(found(), Some(beside.join("libonnxruntime.so.1.21")));
    }

    #[test]
    fn the_boards_own_build_comes_before_the_one_that_came_with_elio() {
        let folders = folders(Path::new("/usr/bin/elio"));
        let place = |wanted: &str| folders.iter().position(|folder| folder == Path::new(wanted)).unwrap();
        assert!(place("/usr/local/lib") < place("/usr/bin/../lib/elio"));
        assert!(place("/usr/bin/../lib/elio") < place("/usr/lib"));
    }

    #[test]
    fn a_file_that_is_no_library_is_named_with_the_mend() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let fault = open(file.path()).unwrap_err();
        assert!(fault.contains(&file.path().display().to_string()) && fault.contains("tts.onnxruntime"), "{fault}");
    }
}
