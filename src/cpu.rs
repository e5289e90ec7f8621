//! The processor that this program was compiled for. whisper.cpp is: it has no other path, and on an older processor it
//! would die of an illegal instruction with nothing to say.
//!
//! On arm64 the package holds the program twice, for every processor and for those with dot products and half
//! precision: the first one becomes the second where it can run.

#[cfg(target_arch = "aarch64")]
use std::os::unix::process::CommandExt;
#[cfg(target_arch = "aarch64")]
use std::path::{Path, PathBuf};

/// What the processor must have, as `docs/install.md` names it.
#[cfg(target_arch = "x86_64")]
pub const LEVEL: &str = "x86-64-v3 (Intel Haswell or AMD Zen and newer)";

/// What the processor must have, by the names of /proc/cpuinfo, and whether it has.
#[cfg(target_arch = "x86_64")]
fn features() -> [(&'static str, bool); 6] {
    [
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("bmi1", is_x86_feature_detected!("bmi1")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("fma", is_x86_feature_detected!("fma")),
    ]
}

/// What the running processor lacks, by the names of /proc/cpuinfo; empty where the program can run.
#[cfg(target_arch = "x86_64")]
pub fn lacking() -> Vec<&'static str> {
    features().into_iter().filter(|(_, there)| !there).map(|(name, _)| name).collect()
}

/// What whisper.cpp was compiled for, in gcc's words: the setting that its build reads too (`.cargo/config.toml`).
#[cfg(target_arch = "aarch64")]
pub const LEVEL: &str = match option_env!("GGML_CPU_ARM_ARCH") {
    Some(level) => level,
    None => "armv8-a",
};

/// What the running processor lacks, by the names of /proc/cpuinfo; empty where the program can run.
#[cfg(target_arch = "aarch64")]
pub fn lacking() -> Vec<&'static str> {
    let has = [
        ("+dotprod", "asimddp", std::arch::is_aarch64_feature_detected!("dotprod")),
        ("+fp16", "asimdhp", std::arch::is_aarch64_feature_detected!("fp16")),
    ];
    has.into_iter().filter(|(asked, _, there)| LEVEL.contains(asked) && !there).map(|(_, name, _)| name).collect()
}

/// Goes on as the program for this processor's dot products and half precision, the same process with the same
/// arguments, where it stands beside this one. Comes back where it does not, or cannot be started: this one serves too.
#[cfg(target_arch = "aarch64")]
pub fn become_faster() {
    let able = std::arch::is_aarch64_feature_detected!("dotprod") && std::arch::is_aarch64_feature_detected!("fp16");
    // One compiled for more than the least, or for the build machine, is no first one.
    let first = LEVEL == "armv8-a" && option_env!("GGML_NATIVE") != Some("ON");
    let faster = std::env::current_exe().ok().and_then(|exe| faster_than(&exe));
    if let (true, true, Some(faster)) = (able, first, faster) {
        let _ = crate::anew::command(faster).exec();
    }
}

/// `bin/elio` → `lib/elio/armv8.2-a/elio`. Of the same name, so that ps and the journal show no other program.
#[cfg(target_arch = "aarch64")]
fn faster_than(exe: &Path) -> Option<PathBuf> {
    let faster = exe.parent()?.parent()?.join("lib/elio/armv8.2-a/elio");
    faster.is_file().then_some(faster)
}

/// What the processor must have.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub const LEVEL: &str = std::env::consts::ARCH;

/// Nothing is known to be missing.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn lacking() -> Vec<&'static str> {
    Vec::new()
}

/// There is one program for all of them.
#[cfg(not(target_arch = "aarch64"))]
pub fn become_faster() {}

#[cfg(test)]
mod tests {
    #[test]
    fn a_machine_that_runs_the_tests_lacks_nothing() {
        assert_eq!(super::lacking(), Vec::<&str>::new());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_package_refuses_what_the_program_refuses() {
        let names: Vec<_> = super::features().iter().map(|(name, _)| *name).collect();
        let asked = format!("for flag in {}; do", names.join(" "));
        assert!(include_str!("../debian/preinst").contains(&asked), "{asked}");
    }

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn the_faster_program_stands_under_lib() {
        let root = tempfile::tempdir().unwrap();
        let exe = root.path().join("bin/elio");
        assert_eq!(super::faster_than(&exe), None);
        let folder = root.path().join("lib/elio/armv8.2-a");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("elio"), "").unwrap();
        assert_eq!(super::faster_than(&exe), Some(folder.join("elio")));
    }
}
