//! The way to Claude, step by step: DNS, TCP, TLS, and the first byte of an answer, each timed apart.

use std::sync::Arc;

use super::finding::rounded;
use super::{Finding, Patient, key};
use crate::claude::{ClaudeError, Probe, Step, probe};

/// A certificate that ends sooner is worth a word, in days.
const ENDS_SOON: f64 = 7.0;
/// A step that takes longer is felt, in ms.
const SLOW: f64 = 500.0;
/// Variables of a proxy, which Elio does not use.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

impl Patient {
    /// One connection, made once for all the checks that want to know of it.
    pub(super) async fn probe(&self) -> &Result<Probe, String> {
        let make = || async move {
            let settings = self.config().claude;
            let key = key::found(self).ok().map(|(key, _)| key);
            probe(&settings, key.as_ref()).await.map_err(|error| error.to_string())
        };
        self.probe.get_or_init(make).await
    }
}

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    let probe = match patient.probe().await {
        Ok(probe) => probe,
        Err(error) => return vec![Finding::fault(error, "correct [claude]")],
    };
    let mut findings: Vec<Finding> = probe.steps.iter().map(|step| of(step, &probe.host)).collect();
    if let Some(ends) = probe.certificate_ends {
        let days = ends.duration_since(patient.machine.now()).as_secs_f64() / 86_400.0;
        let day = ends.strftime("%F");
        if days < ENDS_SOON {
            let mend = "its owner renews it; a server of your own: give it a new certificate";
            findings.push(Finding::warning(format!("the certificate of {} ends on {day}", probe.host), mend));
        } else if let Some(tls) = findings.get_mut(2) {
            tls.finding.push_str(&format!(", certificate to {day}"));
            tls.figures.insert("certificate_days".to_owned(), rounded(days, 1).into());
        }
    }
    let proxy = PROXIES.iter().find(|name| patient.machine.env(name).is_some_and(|value| !value.is_empty()));
    if let (Some(name), Some(_)) = (proxy, probe.failed()) {
        findings.push(Finding::warning(
            format!("{name} is set, and Elio goes without a proxy"),
            "let the speaker out directly, or name a gateway to the API in claude.base_url",
        ));
    }
    findings
}

fn of(step: &Step, host: &str) -> Finding {
    let ms = rounded(step.took.as_secs_f64() * 1e3, 1);
    let finding = match &step.result {
        Ok(said) => {
            let said = format!("{} {ms} ms: {said}", step.name);
            match ms > SLOW {
                true => {
                    Finding::warning(said, "a nearer router, a cable instead of Wi-Fi, another DNS server: try again")
                }
                false => Finding::ok(said),
            }
        }
        Err(error) => {
            let mend = match step.name {
                "DNS" => {
                    "`resolvectl status` and `ping 1.1.1.1`: is there a network, and a name server? claude.base_url"
                }
                "TCP" => "is port 443 let out by router and firewall? does claude.base_url name the right port?",
                "TLS" if matches!(error, ClaudeError::Tls { .. }) => {
                    "the clock first (check clock); then ca-certificates, or claude.ca_file for a server of your own"
                }
                "TLS" => "something between breaks TLS: a captive portal, a proxy, another service on this port",
                _ => "try again; does claude.base_url name the API?",
            };
            Finding::fault(format!("{} failed after {ms} ms: {error}", step.name), mend)
        }
    };
    finding.figure("step", step.name).figure("ms", ms).figure("host", host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::{demo, sim, tree};
    use crate::doctor::{Machine, Verdict};
    use crate::sim::SimOptions;

    async fn found(machine: Machine, set: &[&str]) -> Vec<Finding> {
        check(Arc::new(demo(machine, set))).await
    }

    #[tokio::test]
    async fn each_step_has_its_own_time() {
        let dir = tempfile::tempdir().unwrap();
        let (_sim, set) = sim(SimOptions::new(dir.path())).await;
        let (_root, machine) = tree(&[]);
        let found = found(machine, &[&set[0], &set[1]]).await;
        let steps: Vec<&str> = found.iter().map(|step| step.figures["step"].as_str().unwrap()).collect();
        assert_eq!(steps, ["DNS", "TCP", "TLS", "HTTP"], "{found:?}");
        assert!(found.iter().all(|step| step.verdict != Verdict::Fault && step.figures["ms"].is_number()), "{found:?}");
        assert!(found[2].figures["ms"].as_f64() > Some(0.0), "a handshake takes its time: {found:?}");
        assert!(found[2].finding.contains("TLS 1.3, h2, certificate to 20"), "{found:?}");
        assert!(found[3].finding.contains("status 401"), "there is no key: {found:?}");
    }

    #[tokio::test]
    async fn the_step_that_fails_names_its_mend() {
        let (_root, machine) = tree(&[]);
        let machine = machine.with_env(|name| (name == "HTTPS_PROXY").then(|| "http://proxy:3128".to_owned()));
        let dns = found(machine, &["claude.base_url=\"https://no-such-host.invalid\""]).await;
        assert!(dns[0].verdict == Verdict::Fault && dns[0].finding.starts_with("DNS failed"), "{dns:?}");
        assert!(dns[1].finding.contains("HTTPS_PROXY is set"), "{dns:?}");

        let (_root, machine) = tree(&[]);
        let tcp = found(machine, &["claude.base_url=\"https://127.0.0.1:1\""]).await;
        assert!(
            tcp[1].finding.starts_with("TCP failed") && tcp[1].mend.as_ref().unwrap().contains("firewall"),
            "{tcp:?}"
        );

        // Another authority than the one that is trusted.
        let dir = tempfile::tempdir().unwrap();
        let (_sim, set) = sim(SimOptions::new(dir.path())).await;
        let other = tempfile::tempdir().unwrap();
        let (_other, theirs) = sim(SimOptions::new(other.path())).await;
        let (_root, machine) = tree(&[]);
        let tls = found(machine, &[&set[0], &theirs[1]]).await;
        assert!(
            tls[2].finding.starts_with("TLS failed") && tls[2].mend.as_ref().unwrap().contains("ca_file"),
            "{tls:?}"
        );
    }
}
