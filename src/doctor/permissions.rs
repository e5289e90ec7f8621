//! May the speaker's user do what the speaker does? Folders, devices and limits, for the user `elio` where root asks, else
//! for whoever asks.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{Resource, getegid, geteuid, getgroups, getrlimit};

use super::{Finding, Machine, Patient, models};
use crate::config::Config;

/// The user of elio.service, and the groups that the unit adds.
const USER: &str = "elio";
const GROUPS: [&str; 3] = ["audio", "gpio", "systemd-journal"];

/// Somebody, by numbers.
#[derive(Debug)]
struct Person {
    name: String,
    uid: u32,
    groups: BTreeSet<u32>,
}

impl Person {
    /// The service's user where root asks and there is one, else who asks.
    fn of(machine: &Machine) -> Person {
        let own = geteuid().as_raw();
        let users = lines_of(machine, "/etc/passwd");
        let service = users.iter().find(|user| user.first().is_some_and(|name| name == USER));
        match service.filter(|_| own == 0).and_then(|user| Some((number(user, 2)?, number(user, 3)?))) {
            Some((uid, gid)) => {
                let theirs = lines_of(machine, "/etc/group").into_iter().filter(|group| {
                    let listed = |name: &str| group.get(3).is_some_and(|all| all.split(',').any(|one| one == name));
                    group.first().is_some_and(|name| GROUPS.contains(&name.as_str())) || listed(USER)
                });
                let groups = theirs.filter_map(|group| number(&group, 2)).chain([gid]).collect();
                Person { name: format!("the user {USER}"), uid, groups }
            }
            None => {
                let name =
                    users.iter().find(|user| number(user, 2) == Some(own)).and_then(|user| user.first().cloned());
                let groups = getgroups().unwrap_or_default().into_iter().chain([getegid()]);
                let groups = groups.map(rustix::process::Gid::as_raw).collect();
                Person { name: format!("the user {}", name.unwrap_or_else(|| own.to_string())), uid: own, groups }
            }
        }
    }

    /// Whether the mode bits let this person do all of `wanted` (4 read, 2 write, 1 enter).
    fn may(&self, mode: u32, uid: u32, gid: u32, wanted: u32) -> bool {
        let shift = if self.uid == uid {
            6
        } else if self.groups.contains(&gid) {
            3
        } else {
            0
        };
        self.uid == 0 || (mode >> shift) & wanted == wanted
    }

    fn may_use(&self, path: &Path, wanted: u32) -> bool {
        fs::metadata(path).is_ok_and(|meta| self.may(meta.mode(), meta.uid(), meta.gid(), wanted))
    }
}

/// The fields of a file like /etc/passwd.
fn lines_of(machine: &Machine, path: &str) -> Vec<Vec<String>> {
    let text = machine.read(path).unwrap_or_default();
    text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
}

fn number(fields: &[String], at: usize) -> Option<u32> {
    fields.get(at)?.parse().ok()
}

pub(super) async fn check(patient: Arc<Patient>) -> Vec<Finding> {
    let config = patient.config();
    let unit = patient.unit().await.clone();
    let work = patient.clone();
    let found = super::blocking(move || {
        let machine = &work.machine;
        let person = Person::of(machine);
        let mut findings = folders(&person, &config, !unit.is_empty());
        findings.extend(devices(&person, machine, "/dev/snd", &["pcm", "control"], "audio"));
        if [&config.wake.button, &config.wake.led, &config.wake.mute].iter().any(|line| line.is_some()) {
            findings.extend(devices(&person, machine, "/dev", &["gpiochip"], "gpio"));
        }
        let limit = |name: &str, resource| match unit.get(name).map(String::as_str) {
            Some("infinity") => None,
            Some(value) => value.parse().ok(),
            // Root is above these limits.
            None if geteuid().is_root() => None,
            None => getrlimit(resource).current,
        };
        let whose = if unit.is_empty() { "this process" } else { "elio.service" };
        let models = models::configured(&config).iter().map(|model| model.bytes).sum();
        let (rtprio, memlock) = (limit("LimitRTPRIO", Resource::Rtprio), limit("LimitMEMLOCK", Resource::Memlock));
        findings.push(limits(whose, rtprio, memlock, models));
        findings
    });
    found.await.unwrap_or_else(|error| vec![Finding::fault(error, "report this")])
}

/// The state folder and that of the socket, and what of the configuration must be read. `unit`: systemd makes the folders.
fn folders(person: &Person, config: &Config, unit: bool) -> Vec<Finding> {
    let state = &config.daemon.state_dir;
    let socket = config.daemon.socket.parent().unwrap_or(Path::new("/"));
    let mut findings = Vec::new();
    for (key, folder) in [("daemon.state_dir", state.as_path()), ("daemon.socket", socket)] {
        let shown = folder.display();
        let nearest = folder.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
        findings.push(if nearest != folder && (unit || person.may_use(nearest, 3)) {
            Finding::ok(format!("{shown} is not there yet: it is made at the start"))
        } else if person.may_use(folder, 7) {
            Finding::ok(format!("{} may write {shown}", person.name))
        } else {
            let mend = format!("`sudo install -d -o {USER} -g {USER} {shown}`, or name another folder in {key}");
            Finding::fault(format!("{} may not write {shown} ({key})", person.name), mend)
        });
    }
    let read =
        [&config.claude.instructions_file, &config.claude.ca_file, &config.models.manifest, &config.tts.onnxruntime];
    for file in read.into_iter().flatten().filter(|file| file.exists() && !person.may_use(file, 4)) {
        let shown = file.display();
        findings.push(Finding::fault(
            format!("{} may not read {shown}", person.name),
            format!("`sudo chown root:{USER} {shown} && sudo chmod 640 {shown}`"),
        ));
    }
    findings
}

/// The device files whose names begin so; nothing where there are none: other checks say what is missing.
fn devices(person: &Person, machine: &Machine, folder: &str, names: &[&str], group: &str) -> Option<Finding> {
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        names.iter().any(|begin| name.starts_with(begin))
    };
    let nodes: Vec<PathBuf> = machine.list(folder).into_iter().filter(ours).collect();
    let closed: Vec<&PathBuf> = nodes.iter().filter(|node| !person.may_use(&machine.path(node), 6)).collect();
    let (count, name) = (nodes.len(), &person.name);
    let finding = match closed.first() {
        None if nodes.is_empty() => return None,
        None => Finding::ok(format!("{name} may use all {count} devices in {folder} of the group {group}")),
        Some(first) => {
            let rule = if group == "gpio" { ", and install the udev rule 60-elio.rules" } else { "" };
            Finding::fault(
                format!("{name} may not use {} of {count} devices, such as {}", closed.len(), first.display()),
                format!("`sudo usermod -aG {group} {USER}` (SupplementaryGroups={group} in the unit){rule}"),
            )
        }
    };
    Some(finding.figure("devices", count).figure("closed", closed.len()))
}

/// `None` is no limit; `models`: bytes that are to be locked.
fn limits(whose: &str, rtprio: Option<u64>, memlock: Option<u64>, models: u64) -> Finding {
    let mb = |bytes: u64| bytes / 1_000_000;
    let shown = |limit: Option<u64>, of: fn(u64) -> String| limit.map_or_else(|| "no limit".to_owned(), of);
    let said = format!(
        "{whose}: realtime priority up to {}, locked memory up to {}",
        shown(rtprio, |value| value.to_string()),
        shown(memlock, |value| format!("{} MB", value / 1_000_000)),
    );
    let finding = if rtprio == Some(0) {
        Finding::warning(
            format!("{said}: the sound threads compete with everything else"),
            "LimitRTPRIO=70 in the unit, or `rtprio 70` for the group audio in /etc/security/limits.d",
        )
    } else if memlock.is_some_and(|limit| limit < models) {
        Finding::warning(
            format!("{said}: the models have {} MB, and may be swapped out", mb(models)),
            "LimitMEMLOCK=infinity in the unit, or `memlock unlimited` in /etc/security/limits.d",
        )
    } else {
        Finding::ok(said)
    };
    finding.figure("rtprio", rtprio).figure("memlock_bytes", memlock)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::doctor::Verdict;

    fn person(uid: u32, groups: &[u32]) -> Person {
        Person { name: "the user x".into(), uid, groups: groups.iter().copied().collect() }
    }

    #[test]
    fn the_bits_of_the_owner_come_before_those_of_the_group() {
        assert!(person(7, &[9]).may(0o600, 7, 1, 6) && !person(8, &[9]).may(0o600, 7, 1, 4));
        assert!(person(8, &[9]).may(0o660, 7, 9, 6) && !person(7, &[9]).may(0o060, 7, 9, 4));
        assert!(person(8, &[]).may(0o604, 7, 9, 4) && person(0, &[]).may(0o000, 7, 9, 6));
    }

    #[test]
    fn a_folder_and_a_device_of_somebody_else_are_faults_with_the_mend() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, mode) in [("state", 0o700), ("open", 0o777), ("dev/snd", 0o755)] {
            fs::create_dir_all(at(name)).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::write(at("dev/snd/pcmC0D0c"), "").unwrap();
        fs::set_permissions(at("dev/snd/pcmC0D0c"), fs::Permissions::from_mode(0o660)).unwrap();
        let stranger = person(54_321, &[54_321]);
        let mut config = Config::default();
        config.daemon.state_dir = at("state");
        config.daemon.socket = at("open/control.sock");
        let found = folders(&stranger, &config, false);
        assert_eq!(found.iter().map(|f| f.verdict).collect::<Vec<_>>(), [Verdict::Fault, Verdict::Ok]);
        assert!(found[0].mend.as_ref().unwrap().contains("daemon.state_dir"), "{found:?}");
        config.daemon.state_dir = at("state/deeper");
        let verdict = |unit| folders(&stranger, &config, unit)[0].verdict;
        assert_eq!((verdict(false), verdict(true)), (Verdict::Fault, Verdict::Ok), "the unit makes what is missing");
        let machine = Machine::at(dir.path());
        let sound = devices(&stranger, &machine, "/dev/snd", &["pcm"], "audio").unwrap();
        assert!(sound.verdict == Verdict::Fault && sound.mend.unwrap().contains("usermod -aG audio"));
        assert_eq!(devices(&stranger, &machine, "/dev", &["gpiochip"], "gpio"), None);
    }

    #[test]
    fn low_limits_are_warnings() {
        assert_eq!(limits("it", Some(70), None, 900).verdict, Verdict::Ok);
        assert_eq!(limits("it", None, Some(1000), 900).verdict, Verdict::Ok);
        let (priority, memory) = (limits("it", Some(0), None, 0), limits("it", Some(70), Some(800), 900));
        assert!(priority.verdict == Verdict::Warning && priority.mend.unwrap().contains("LimitRTPRIO"));
        assert!(memory.verdict == Verdict::Warning && memory.mend.unwrap().contains("LimitMEMLOCK"));
    }
}
