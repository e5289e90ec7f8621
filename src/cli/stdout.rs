//! Standard output: a reader that has seen enough (`head`) ends the writing and is no failure.

use std::io::{self, BufWriter, ErrorKind, Write};

use super::{CliError, Exit};

/// Writes `text` as it is.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    write(|out| out.write_all(text.as_bytes()))
}

/// Writes what `content` writes, in pieces of any size.
pub(super) fn write(content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), CliError> {
    write_to(&mut BufWriter::new(io::stdout().lock()), content)
}

fn write_to(out: &mut dyn Write, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), CliError> {
    match content(out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| CliError::new(Exit::Failed, format!("standard output: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refuses(ErrorKind);

    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_failure_and_a_full_disk_is() {
        let text = |out: &mut dyn Write| out.write_all(b"text");
        assert!(write_to(&mut Refuses(ErrorKind::BrokenPipe), text).is_ok());
        let error = write_to(&mut Refuses(ErrorKind::StorageFull), text).unwrap_err();
        assert!(error.message.starts_with("standard output: "), "{error}");
    }
}
