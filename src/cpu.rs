//! The processor that this program was compiled for. whisper.cpp is: it has no other path, and on an older processor it
//! would die of an illegal instruction with nothing to say.

/// What the processor must have, as `docs/install.md` names it.
#[cfg(target_arch = "x86_64")]
pub const LEVEL: &str = "x86-64-v3 (Intel Haswell or AMD Zen and newer)";

/// What the running processor lacks, by the names of /proc/cpuinfo; empty where the program can run.
#[cfg(target_arch = "x86_64")]
pub fn lacking() -> Vec<&'static str> {
    let has = [
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("bmi1", is_x86_feature_detected!("bmi1")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("fma", is_x86_feature_detected!("fma")),
    ];
    has.into_iter().filter(|(_, there)| !there).map(|(name, _)| name).collect()
}

/// What the processor must have.
#[cfg(not(target_arch = "x86_64"))]
pub const LEVEL: &str = std::env::consts::ARCH;

/// Nothing is known to be missing.
#[cfg(not(target_arch = "x86_64"))]
pub fn lacking() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_machine_that_runs_the_tests_lacks_nothing() {
        assert_eq!(super::lacking(), Vec::<&str>::new());
    }
}
