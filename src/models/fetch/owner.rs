//! Whose the fetched files are. The service's user owns the folder of models and could put links into it, which root would
//! follow to any file of the machine: whoever may do everything does this as the folder's owner.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf, absolute};

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

use super::FetchError;

/// As root, goes on as the owner of the folder that models are fetched into, or of what it lies in, where that is somebody
/// else; gives that user's number. A thread's rights are its own: this is to be called before there is a second one.
///
/// # Errors
/// [`FetchError::Denied`]: the system does not let go of root's rights, as in some containers.
pub fn become_owner(dirs: &[PathBuf]) -> Result<Option<u32>, FetchError> {
    let Some((dir, (user, group))) = dirs.first().and_then(|dir| Some((dir, owner(dir)?))) else { return Ok(None) };
    if !geteuid().is_root() {
        return Ok(None);
    }
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(group));
    let became = set_thread_groups(&[gid]).and_then(|()| set_thread_gid(gid)).and_then(|()| set_thread_uid(uid));
    became.map_err(|errno| FetchError::Denied {
        path: dir.clone(),
        fault: format!("it belongs to the user {user}, and the fetch cannot go on as that user: {errno}"),
    })?;
    Ok(Some(user))
}

/// The first user other than root who owns a part of the path, a link as itself, from its end on.
fn owner(dir: &Path) -> Option<(u32, u32)> {
    let whole = absolute(dir).ok()?;
    let parts = whole.ancestors().filter_map(|part| fs::symlink_metadata(part).ok());
    parts.map(|part| (part.uid(), part.gid())).find(|(user, _)| *user != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    #[test]
    fn whoever_owns_a_part_of_the_path_is_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("models")).unwrap();
        let user = geteuid().as_raw();
        assert_eq!(owner(&at("models")).map(|(user, _)| user), (user != 0).then_some(user));
        if chown(at("models"), Some(4_321), Some(8_765)).is_err() {
            println!("NOT RUN: a folder of somebody else: only root can make one");
            return;
        }
        assert_eq!(owner(&at("models")), Some((4_321, 8_765)));
        assert_eq!(owner(&at("models/not/there/yet")), Some((4_321, 8_765)));
        // A link to a folder of root's is not root's.
        symlink("/etc", at("models/link")).unwrap();
        std::os::unix::fs::lchown(at("models/link"), Some(4_321), Some(8_765)).unwrap();
        assert_eq!(owner(&at("models/link")), Some((4_321, 8_765)));
    }
}
