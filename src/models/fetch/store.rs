//! The folder that fetched models go to: one fetch at a time, room on its disk, files that the service may read.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, statvfs};
use rustix::io::Errno;

use super::{FetchError, News};

/// Left free beside a file, for the records of the turns and the journal.
const MARGIN: u64 = 16 << 20;

/// A folder of models, with the lock of the one fetch that may write there. The lock ends with the value.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    _lock: File,
}

impl Store {
    /// The first of the folders that can be written to, made where it is missing. Waits for another fetch to end.
    ///
    /// # Errors
    /// [`FetchError::Denied`], [`FetchError::Full`], [`FetchError::Disk`]: of the first folder; [`FetchError::NoFolder`].
    pub async fn open(dirs: &[PathBuf], news: &dyn Fn(News<'_>)) -> Result<Store, FetchError> {
        let mut first = None;
        for dir in dirs {
            match Self::lock_file(dir) {
                Ok(lock) => {
                    Self::wait(&lock, dir, news).await?;
                    return Ok(Store { dir: dir.clone(), _lock: lock });
                }
                Err(error) => first = first.or(Some(FetchError::disk(dir, &error))),
            }
        }
        Err(first.unwrap_or(FetchError::NoFolder))
    }

    fn lock_file(dir: &Path) -> io::Result<File> {
        let missing: Vec<&Path> = dir.ancestors().take_while(|above| !above.exists()).collect();
        fs::create_dir_all(dir)?;
        for made in missing.into_iter().filter(|made| !made.as_os_str().is_empty()) {
            fs::set_permissions(made, Permissions::from_mode(0o755))?;
        }
        // For reading, which is enough for a lock: an earlier fetch may have left it to somebody else.
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC;
        Ok(rustix::fs::open(dir.join(".lock"), flags, Mode::from_raw_mode(0o644))?.into())
    }

    async fn wait(lock: &File, dir: &Path, news: &dyn Fn(News<'_>)) -> Result<(), FetchError> {
        let mut told = false;
        loop {
            match flock(lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(()),
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(errno) => return Err(FetchError::disk(dir, &errno.into())),
            }
            if !told {
                news(News::Waiting { dir });
                told = true;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a file of the manifest is to be.
    pub(super) fn place(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// Where it grows.
    pub(super) fn part(&self, file: &str) -> PathBuf {
        self.dir.join(format!("{file}.part"))
    }

    /// There is room for that many bytes more.
    pub(super) fn room_for(&self, bytes: u64) -> Result<(), FetchError> {
        let disk = statvfs(&self.dir).map_err(|errno| FetchError::disk(&self.dir, &errno.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= bytes.saturating_add(MARGIN) {
            return Ok(());
        }
        let fault = format!("{bytes} bytes more are wanted, and {MARGIN} to spare, {free} are free");
        Err(FetchError::Full { path: self.dir.clone(), fault })
    }

    /// Puts a file that is whole into its place. Whoever has the old one open keeps it.
    pub(super) fn install(&self, file: &str) -> Result<PathBuf, FetchError> {
        let (part, place) = (self.part(file), self.place(file));
        let moved = fs::rename(&part, &place).and_then(|()| File::open(&self.dir)?.sync_all());
        moved.map_err(|error| FetchError::disk(&place, &error))?;
        Ok(place)
    }
}

/// The service runs as another user, whatever the umask here.
pub(in crate::models) fn readable(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o644))
}
