//! Where Whisper computes, by what whisper.cpp itself says while it loads: it has no function that tells.

use std::cell::RefCell;
use std::collections::BTreeMap;

use log::{LevelFilter, Log, Metadata, Record};
use serde::{Deserialize, Serialize};

/// The target of whisper.cpp's lines begins so.
const TARGET: &str = "whisper_rs";

thread_local! {
    /// The lines of the model that this thread loads; whisper.cpp logs on the thread that calls it.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The program's logger, which also lets this room hear what whisper.cpp says. Without it [`Hardware`] knows nothing.
pub struct Overhearing<L>(pub L);

impl<L: Log> Log for Overhearing<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if record.target().starts_with(TARGET) {
            LINES.with_borrow_mut(|lines| lines.as_mut().map(|lines| lines.push(record.args().to_string())));
        }
        self.0.log(record);
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Where a model's weights lie: ggml computes where they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hardware {
    /// By device as ggml calls it (`CPU`, `CUDA0`), in MB; empty: whisper.cpp was not heard.
    pub weights_mb: BTreeMap<String, f64>,
    /// The GPU that whisper.cpp took.
    pub gpu: Option<String>,
}

impl Hardware {
    /// Loads a model by `load`, and reads what whisper.cpp says meanwhile.
    pub(super) fn heard_while<T>(load: impl FnOnce() -> T) -> (T, Hardware) {
        let level = log::max_level();
        // whisper.cpp's lines are information; what nobody wants of it, the logger itself leaves out.
        log::set_max_level(level.max(LevelFilter::Info));
        LINES.set(Some(Vec::new()));
        let loaded = load();
        let lines = LINES.take().unwrap_or_default();
        log::set_max_level(level);
        (loaded, Hardware::read(&lines))
    }

    fn read(lines: &[String]) -> Hardware {
        let mut hardware = Hardware::default();
        for line in lines {
            // `whisper_model_load:        CUDA0 total size =    77.11 MB`
            let size = line.split_once(" total size = ").and_then(|(before, size)| {
                let device = before.rsplit([':', ' ']).next()?;
                Some((device.to_owned(), size.trim().strip_suffix(" MB")?.trim().parse::<f64>().ok()?))
            });
            if let Some((device, mb)) = size {
                *hardware.weights_mb.entry(device).or_default() += mb;
            }
            // `whisper_backend_init_gpu: using CUDA0 backend`
            let gpu =
                line.strip_prefix("whisper_backend_init_gpu: using ").and_then(|rest| rest.strip_suffix(" backend"));
            hardware.gpu = hardware.gpu.or(gpu.map(str::to_owned));
        }
        hardware
    }

    /// Most of the weights lie elsewhere than in the processor's memory; none: unknown.
    pub fn on_gpu(&self) -> Option<bool> {
        let all: f64 = self.weights_mb.values().sum();
        // `CPU`, and `CPU_Mapped` or the repacked `CPU_AARCH64` of other versions of ggml.
        let cpu: f64 = self.weights_mb.iter().filter(|(name, _)| name.starts_with("CPU")).map(|(_, mb)| mb).sum();
        (all > 0.0).then_some(cpu < all / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Deaf;

    impl Log for Deaf {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            false
        }
        fn log(&self, _: &Record<'_>) {}
        fn flush(&self) {}
    }

    fn read(lines: &[&str]) -> Hardware {
        Hardware::read(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_weights_tell_the_device_and_not_the_wish() {
        let gpu = read(&[
            "whisper_init_with_params_no_state: use gpu    = 1",
            "whisper_backend_init_gpu: using CUDA0 backend",
            "whisper_model_load:          CPU total size =     0.90 MB",
            "whisper_model_load:        CUDA0 total size =    77.11 MB",
            "whisper_model_load: model size    =   77.11 MB",
        ]);
        assert_eq!((gpu.on_gpu(), gpu.gpu.as_deref(), gpu.weights_mb["CUDA0"]), (Some(true), Some("CUDA0"), 77.11));
        let fallen_back = read(&[
            "whisper_init_with_params_no_state: use gpu    = 1",
            "whisper_backend_init_gpu: no GPU found",
            "whisper_model_load:          CPU total size =    77.11 MB",
        ]);
        assert_eq!((fallen_back.on_gpu(), fallen_back.gpu), (Some(false), None));
        assert_eq!(read(&[]).on_gpu(), None);
    }

    #[test]
    fn a_model_says_where_it_lies_through_a_logger_that_wants_nothing_of_it() {
        // One logger for the process; where another test has set one, it is this one too.
        let _ = log::set_boxed_logger(Box::new(Overhearing(Deaf)));
        let settings = crate::config::ModelsSettings { dirs: vec!["models/demo".into()], manifest: None };
        let model = crate::models::Models::open(&settings).unwrap().whisper("whisper-demo").unwrap();
        let listen = [crate::config::Language::En];
        let (engine, hardware) =
            Hardware::heard_while(|| super::super::engine::Engine::load(&model, 1, false, &listen));
        assert!(engine.is_ok());
        assert_eq!(hardware.on_gpu(), Some(false), "{hardware:?}");
        assert!(hardware.weights_mb.values().sum::<f64>() > 0.5, "{hardware:?}");
    }
}
