//! Realtime priority for the thread of a hardware device.

use super::pcm::Pcm;

/// Asks for SCHED_FIFO where the PCM cannot spin. A denial is said and not fatal: the thread then competes with the
/// rest of the machine, and its counters tell how it fares.
pub fn promote(pcm: &dyn Pcm, device: &str) {
    if !pcm.realtime() {
        return;
    }
    let format = pcm.format();
    if let Err(e) = audio_thread_priority::promote_current_thread_to_real_time(format.period as u32, format.rate) {
        // EPERM also where the kernel has RT_GROUP_SCHED and the service's cgroup has no realtime budget.
        log::warn!(
            "no realtime priority for the thread of `{device}` ({e}): set LimitRTPRIO=10 in the unit, and where the \
             kernel has RT_GROUP_SCHED give its cgroup a realtime budget"
        );
    }
}
