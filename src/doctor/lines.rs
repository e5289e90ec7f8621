//! Button, LED and mute switch: the line, who holds it, what it reads, and whether a press arrives.

use std::sync::Arc;
use std::time::Duration;

use super::finding::rounded;
use super::{Finding, Patient, Press};
use crate::config::{Bias, LineSettings, WakeSettings};
use crate::wake::{self, LineFacts, Role, WakeError};

/// The consumers of the daemon's own lines begin so.
const OURS: &str = "elio-";
const PERMISSION: &str = "`sudo usermod -aG gpio $USER`, the udev rule 60-elio.rules, then log in again";

/// A line that may be looked at further, or what there is to say of it.
async fn line(patient: &Patient, role: Role, settings: Option<&LineSettings>) -> Result<(LineFacts, String), Finding> {
    let Some(settings) = settings else {
        return Err(Finding::skipped(match role {
            Role::Button => "no line is configured: `elio press` is the only button",
            Role::Led | Role::Mute => "no line is configured",
        }));
    };
    let wanted = settings.clone();
    let facts = super::blocking(move || wake::line_facts(role, &wanted)).await;
    let facts = facts.map_err(|error| Finding::fault(error, "report this"))?.map_err(|error| refused(&error))?;
    let name = if facts.name.is_empty() { String::new() } else { format!(" `{}`", facts.name) };
    let low = if settings.active_low { ", active low" } else { "" };
    let said = format!("{}{name}{low}, bias {}", facts.place, facts.bias);
    let Some(consumer) = &facts.consumer else { return Ok((facts, said)) };
    let held = match patient.running().await {
        Some(report) if consumer.starts_with(OURS) => {
            let reads = match (role, report.muted) {
                (Role::Mute, true) => "; it says: muted",
                (Role::Mute, false) => "; it says: not muted",
                _ => "",
            };
            Finding::ok(format!("{said}: the running daemon holds it as `{consumer}`{reads}"))
                .mend("to try it here: `systemctl stop elio`, and run this again")
        }
        _ => Finding::fault(
            format!("{said}: held by `{consumer}`"),
            "free it there (`systemctl stop elio` where it is the daemon's; a device tree overlay where it is the kernel's)",
        ),
    };
    Err(held.figure("line", facts.place.clone()).figure("consumer", consumer.clone()))
}

fn refused(error: &WakeError) -> Finding {
    match error {
        WakeError::NoChip { .. } | WakeError::NoLine { .. } | WakeError::NoOffset { .. } => {
            Finding::fault(error, "correct the line in the configuration: `gpioinfo` lists them")
        }
        WakeError::Denied { .. } => Finding::fault(error, PERMISSION),
        WakeError::Busy { .. } => Finding::fault(error, "`systemctl stop elio`, or free it where it is used"),
        WakeError::Failed { .. } => Finding::fault(error, "look at `dmesg`, and at `gpioinfo`"),
    }
}

pub(super) async fn button(patient: Arc<Patient>) -> Vec<Finding> {
    let wake = patient.config().wake;
    let (facts, said) = match line(&patient, Role::Button, wake.button.as_ref()).await {
        Ok(free) => free,
        Err(finding) => return vec![finding],
    };
    let Some(settings) = &wake.button else { return Vec::new() };
    let pressed = match wake::line_value(Role::Button, settings) {
        Ok(pressed) => pressed,
        Err(error) => return vec![refused(&error)],
    };
    let mut findings = vec![value(&said, settings, pressed).figure("line", facts.place).figure("pressed", pressed)];
    if let Press::Wait(limit) = patient.press {
        (patient.prompt)(&format!("press the button now, and let it go ({} s)", limit.as_secs()));
        findings.push(match wake::press(settings, limit).await {
            Ok(press) => pressing(press, &wake, limit),
            Err(error) => refused(&error),
        });
    }
    findings
}

fn value(said: &str, settings: &LineSettings, pressed: bool) -> Finding {
    if !pressed {
        return Finding::ok(format!("{said}: reads as not pressed"));
    }
    let pull = match settings.bias {
        Bias::AsIs | Bias::Disabled => "set bias, or add a pull resistor",
        Bias::PullUp | Bias::PullDown => "many boards cannot set the internal pull: add a resistor",
    };
    Finding::warning(
        format!("{said}: reads as pressed"),
        format!("if nobody presses it: turn active_low round; {pull}; on a Jetson set the pinmux first"),
    )
}

fn pressing(press: Option<wake::Press>, wake: &WakeSettings, limit: Duration) -> Finding {
    let ms = |time: Duration| rounded(time.as_secs_f64() * 1e3, 2);
    let Some(press) = press else {
        return Finding::warning(
            format!("no press came within {} s", limit.as_secs()),
            "if somebody pressed: check wiring, active_low, pull resistor, and on a Jetson the pinmux (inputs read 0 before)",
        );
    };
    let said =
        format!("a press of {} ms, {} bounces within {} ms", ms(press.held), press.bounces, ms(press.bounced_for));
    let finding = if !press.released {
        Finding::warning(format!("{said}; it was not let go"), "is the button jammed, or does it latch?")
    } else if press.bounced_for > wake.debounce {
        Finding::warning(
            format!("{said}; wake.debounce is {} ms", ms(wake.debounce)),
            format!("wake.debounce = \"{}ms\"", (press.bounced_for * 2).as_millis()),
        )
    } else {
        Finding::ok(said)
    };
    finding
        .figure("held_ms", ms(press.held))
        .figure("bounces", press.bounces)
        .figure("bounced_ms", ms(press.bounced_for))
}

pub(super) async fn led(patient: Arc<Patient>) -> Vec<Finding> {
    let led = patient.config().wake.led;
    let (facts, said) = match line(&patient, Role::Led, led.as_ref()).await {
        Ok(free) => free,
        Err(finding) => return vec![finding],
    };
    let Some(settings) = &led else { return Vec::new() };
    vec![match wake::blink(settings).await {
        Ok(()) => Finding::ok(format!("{said}: it blinked three times")).figure("line", facts.place),
        Err(error) => refused(&error),
    }]
}

pub(super) async fn mute(patient: Arc<Patient>) -> Vec<Finding> {
    let mute = patient.config().wake.mute;
    let (facts, said) = match line(&patient, Role::Mute, mute.as_ref()).await {
        Ok(free) => free,
        Err(finding) => return vec![finding],
    };
    let Some(settings) = &mute else { return Vec::new() };
    vec![match wake::line_value(Role::Mute, settings) {
        Ok(muted) => {
            let position = if muted { "muted" } else { "not muted" };
            Finding::ok(format!("{said}: reads as {position}")).figure("line", facts.place).figure("muted", muted)
        }
        Err(error) => refused(&error),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LineName;
    use crate::doctor::tests::{demo, tree};
    use crate::doctor::{Machine, Verdict};

    #[test]
    fn a_press_is_judged_by_its_bounces() {
        let wake = demo(Machine::this(), &[]).config().wake;
        let (limit, ms) = (Duration::from_secs(10), Duration::from_millis);
        let of = |bounced, released| {
            let press = wake::Press { bounces: 3, bounced_for: ms(bounced), held: ms(200), released };
            pressing(Some(press), &wake, limit)
        };
        assert_eq!(of(4, true).verdict, Verdict::Ok);
        let bouncy = of(26, true);
        assert!(bouncy.verdict == Verdict::Warning && bouncy.mend.as_deref() == Some("wake.debounce = \"52ms\""));
        assert_eq!(of(4, false).verdict, Verdict::Warning);
        assert!(pressing(None, &wake, limit).mend.unwrap().contains("pinmux"));
    }

    #[test]
    fn a_button_that_reads_as_pressed_is_told_with_the_pull() {
        let line = LineName::Offset { chip: "gpiochip0".into(), offset: 3 };
        let settings = LineSettings { line, active_low: true, bias: Bias::PullUp };
        assert_eq!(value("x", &settings, false).verdict, Verdict::Ok);
        assert!(value("x", &settings, true).mend.unwrap().contains("add a resistor"));
    }

    #[tokio::test]
    async fn a_line_that_is_not_there_and_one_that_is_not_configured() {
        let (_root, machine) = tree(&[]);
        let set = ["wake.button.name=\"NO_SUCH_LINE_9\"", "wake.led.name=\"NO_SUCH_LINE_8\""];
        let patient = Arc::new(demo(machine, &set));
        let found = button(patient.clone()).await.remove(0);
        assert!(found.verdict == Verdict::Fault && found.finding.contains("NO_SUCH_LINE_9"), "{found:?}");
        assert_eq!(led(patient.clone()).await[0].verdict, Verdict::Fault);
        assert_eq!(mute(patient).await[0].verdict, Verdict::Skipped);
    }
}
