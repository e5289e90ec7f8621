//! Why a device does not open, in words that name the mend.

use std::path::Path;

use rustix::io::Errno;

use crate::audio::AudioError;
use crate::audio::Way;

/// The error for a refused call. `said` is what the library wrote about it.
pub fn refusal(device: &str, way: Way, error: alsa::Error, said: &str) -> AudioError {
    let nodes = Path::new("/dev/snd");
    refusal_at(device, way, error, said, nodes)
}

fn refusal_at(device: &str, way: Way, error: alsa::Error, said: &str, nodes: &Path) -> AudioError {
    let device = device.to_owned();
    let errno = Errno::from_raw_os_error(error.errno().abs());
    match errno {
        // A wrong name and a missing card give the same errno; a name that is not in ALSA's configuration says so.
        Errno::NOENT | Errno::NODEV | Errno::NXIO if said.contains("Unknown PCM") => {
            AudioError::NotFound { device, way, detail: " (no ALSA configuration defines it)".into() }
        }
        Errno::NOENT | Errno::NODEV | Errno::NXIO if !nodes.exists() => AudioError::NoCard { device, way },
        // A card number past ALSA's last one (31), or arguments that the named PCM does not take.
        Errno::INVAL if error.func() == "snd_pcm_open" => {
            AudioError::NotFound { device, way, detail: " (ALSA cannot make a device of this name)".into() }
        }
        // The library hides that it may not open the control node of a card, and calls the card absent.
        Errno::NOENT | Errno::NODEV | Errno::NXIO if closed(nodes) => AudioError::Permission { device },
        Errno::NOENT | Errno::NODEV | Errno::NXIO => AudioError::NotFound { device, way, detail: String::new() },
        Errno::ACCESS | Errno::PERM => AudioError::Permission { device },
        Errno::BUSY => AudioError::Busy { device },
        _ => AudioError::Device { device, call: error.func().into(), why: errno.to_string() },
    }
}

/// There are control nodes, and this user may open none of them.
fn closed(nodes: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(nodes) else { return true };
    let mut seen = entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with("control")).peekable();
    seen.peek().is_some()
        && seen.all(|e| std::fs::File::open(e.path()).is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_the_device_and_its_own_mend_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("snd");
        let cases = [
            (Errno::NOENT, "", gone.as_path(), "/dev/snd does not exist"),
            (Errno::NOENT, "Unknown PCM hw:9", gone.as_path(), "arecord -L"),
            (Errno::NODEV, "", dir.path(), "arecord -L"),
            (Errno::ACCESS, "", dir.path(), "group audio"),
            (Errno::BUSY, "", dir.path(), "another program"),
            (Errno::INVAL, "", gone.as_path(), "arecord -L"),
            (Errno::IO, "", dir.path(), "snd_pcm_open"),
        ];
        for (errno, said, nodes, mend) in cases {
            let error = alsa::Error::new("snd_pcm_open", errno.raw_os_error());
            let text = refusal_at("hw:9,0", Way::Capture, error, said, nodes).to_string();
            assert!(text.contains("`hw:9,0`") && text.contains(mend) && !text.contains('\n'), "{text}");
        }
    }
}
