//! SHA-256, SHA-1 and MD5 of the same bytes: what publishers give is one of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use md5::Md5;
use serde::Serialize;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// How a file was hashed; the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-1: tells damage and another file apart, but two files can be made that have the same.
    Sha1,
    /// MD5: as SHA-1, and the two files are made in seconds.
    Md5,
}

impl Algorithm {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha1 => "SHA-1",
            Algorithm::Md5 => "MD5",
        }
    }

    /// Hexadecimal digits of a hash.
    pub(super) fn digits(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha1 => 40,
            Algorithm::Md5 => 32,
        }
    }
}

/// All three of what has been read so far.
#[derive(Clone, Default)]
pub(super) struct Hashes {
    sha256: Sha256,
    sha1: Sha1,
    md5: Md5,
}

/// What [`Hashes`] came to, in lower-case hexadecimal, and the number of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) sha256: String,
    sha1: String,
    md5: String,
    pub(super) size: u64,
}

impl Hashes {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.sha1.update(bytes);
        self.md5.update(bytes);
    }

    pub(super) fn sums(&self, size: u64) -> Sums {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Sums {
            sha256: hex(&self.sha256.clone().finalize()),
            sha1: hex(&self.sha1.clone().finalize()),
            md5: hex(&self.md5.clone().finalize()),
            size,
        }
    }

    /// Reads to the end; gives the number of bytes.
    pub(super) fn read(&mut self, file: &mut impl Read) -> io::Result<u64> {
        let (mut buffer, mut size) = (vec![0; 1 << 16], 0);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(size),
                count => {
                    self.update(&buffer[..count]);
                    size += count as u64;
                }
            }
        }
    }
}

impl Sums {
    /// Reads the whole file. Blocking.
    pub(super) fn of(path: &Path) -> io::Result<Sums> {
        let mut hashes = Hashes::default();
        let size = hashes.read(&mut File::open(path)?)?;
        Ok(hashes.sums(size))
    }

    pub(super) fn get(&self, algorithm: Algorithm) -> &str {
        match algorithm {
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Sha1 => &self.sha1,
            Algorithm::Md5 => &self.md5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_of_abc_are_those_of_the_standards() {
        let mut hashes = Hashes::default();
        hashes.update(b"a");
        assert_eq!(hashes.read(&mut &b"bc"[..]).unwrap(), 2);
        let sums = hashes.sums(3);
        // FIPS 180-2, appendix B; FIPS 180-1, appendix A; RFC 1321, A.5.
        assert_eq!(sums.get(Algorithm::Sha256), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sums.get(Algorithm::Sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(sums.get(Algorithm::Md5), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(sums.get(Algorithm::Sha256).len(), Algorithm::Sha256.digits());
    }
}
