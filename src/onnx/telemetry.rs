//! Microsoft's builds of ONNX Runtime send telemetry (from Linux too since 1.31: a device id and a database in ~/.cache, and
//! a connection to Microsoft) from the moment when they are opened. Elio's speak to nobody but Claude.

use std::os::unix::process::CommandExt;

use crate::anew;

/// What the library asks when it is opened.
const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Goes on as the same program with the same arguments and [`VARIABLE`] set, where it is not; comes back where that cannot
/// be done. A process cannot change its own environment safely, and once the library is open it is too late.
pub(crate) fn turn_off() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let Ok(exe) = std::env::current_exe() else { return };
    let error = anew::command(exe).env(VARIABLE, "1").exec();
    log::warn!(
        "ONNX Runtime's telemetry stays on, unless {VARIABLE}=1 is set: the program cannot be started anew: {error}"
    );
}
