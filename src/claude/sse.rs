//! A push parser for server-sent events: bytes in, events out. It never reads, waits or reconnects, so a POST that
//! bills is never sent twice because of it.

/// One event of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// Value of the last `event:` field, empty where there was none.
    pub event: String,
    /// The `data:` lines, joined by `\n`.
    pub data: String,
}

/// One event was larger than the parser's cap: the stream is to be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("one event of the stream is larger than {cap} bytes")]
pub struct SseTooLarge {
    /// The cap in bytes.
    pub cap: usize,
}

/// The parser's state between two chunks. Lines end with `\n`, `\r\n` or `\r`, wherever a chunk is cut.
#[derive(Debug)]
pub struct SseParser {
    cap: usize,
    /// Bytes of the line that is not ended yet.
    line: Vec<u8>,
    /// The last byte was `\r`: a `\n` that comes next belongs to it.
    after_cr: bool,
    /// No line has ended yet: a byte-order mark may stand here.
    at_start: bool,
    event: String,
    data: String,
    has_data: bool,
}

impl SseParser {
    /// A parser at the start of a stream; `cap` bounds the bytes of one event.
    pub fn new(cap: usize) -> Self {
        Self {
            cap,
            line: Vec::new(),
            after_cr: false,
            at_start: true,
            event: String::new(),
            data: String::new(),
            has_data: false,
        }
    }

    /// Takes the next bytes, of any length, and calls `out` for each event that they complete. An event that the end of
    /// the stream cuts off is never given out.
    ///
    /// # Errors
    ///
    /// [`SseTooLarge`]; the parser is of no use afterwards.
    pub fn push(&mut self, mut bytes: &[u8], mut out: impl FnMut(SseEvent)) -> Result<(), SseTooLarge> {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.line.extend_from_slice(bytes);
                return self.check();
            };
            self.after_cr = bytes[end] == b'\r';
            if self.line.is_empty() {
                self.check_more(end)?;
                self.take_line(&bytes[..end], &mut out);
            } else {
                self.line.extend_from_slice(&bytes[..end]);
                self.check()?;
                let line = std::mem::take(&mut self.line);
                self.take_line(&line, &mut out);
                // Its allocation serves the next split line.
                self.line = line;
                self.line.clear();
            }
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    fn check(&self) -> Result<(), SseTooLarge> {
        self.check_more(self.line.len())
    }

    fn check_more(&self, line: usize) -> Result<(), SseTooLarge> {
        if self.data.len() + line > self.cap { Err(SseTooLarge { cap: self.cap }) } else { Ok(()) }
    }

    fn take_line(&mut self, mut line: &[u8], out: &mut impl FnMut(SseEvent)) {
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let data = std::mem::take(&mut self.data);
            if std::mem::take(&mut self.has_data) {
                out(SseEvent { event, data });
            }
            return;
        }
        let (field, value) = match line.iter().position(|&byte| byte == b':') {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &line[line.len()..]),
        };
        // A comment is a line with an empty field name; `id` and `retry` mean nothing to a client that never reconnects.
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(&String::from_utf8_lossy(value));
            }
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<SseEvent> {
        let mut parser = SseParser::new(1 << 16);
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk, |event| events.push(event)).unwrap();
        }
        events
    }

    fn event(event: &str, data: &str) -> SseEvent {
        SseEvent { event: event.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn every_line_end_ends_a_line() {
        for end in ["\n", "\r\n", "\r"] {
            let text = "event: a\ndata: 1\n\ndata:2\n\n".replace('\n', end);
            assert_eq!(parse([text.as_bytes()]), [event("a", "1"), event("", "2")], "{end:?}");
        }
    }

    #[test]
    fn data_lines_are_joined_comments_dropped_and_the_mark_skipped() {
        let text = "\u{feff}: hello\ndata: one\ndata:  two\ndata\nid: 7\nretry: 1\nnonsense\n\n";
        assert_eq!(parse([text.as_bytes()]), [event("", "one\n two\n")]);
        // A mark anywhere else is part of the field's name.
        assert_eq!(parse(["data: a\n\n\u{feff}data: b\n\n".as_bytes()]), [event("", "a")]);
    }

    #[test]
    fn an_event_without_data_or_without_its_blank_line_is_none() {
        assert_eq!(parse([b"event: a\n\ndata: x\n\ndata: cut".as_slice()]), [event("", "x")]);
    }

    #[test]
    fn the_cap_holds_for_a_line_and_for_many() {
        let mut parser = SseParser::new(9);
        assert_eq!(parser.push(b"data: 123456", |_| ()), Err(SseTooLarge { cap: 9 }));
        let mut parser = SseParser::new(9);
        assert_eq!(parser.push(b"data: 1\ndata: 2\ndata: 3\n", |_| ()), Err(SseTooLarge { cap: 9 }));
        // Many small events are no large one.
        let mut parser = SseParser::new(9);
        let mut count = 0;
        assert_eq!(parser.push(&b"data: 1\n\n".repeat(100), |_| count += 1), Ok(()));
        assert_eq!(count, 100);
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("\n".to_owned()),
            Just("\r\n".to_owned()),
            Just("\r".to_owned()),
            Just("\n\n".to_owned()),
            Just("data: ".to_owned()),
            Just("data:".to_owned()),
            Just("event: x".to_owned()),
            Just(": comment".to_owned()),
            Just("\u{feff}".to_owned()),
            "[a-zé€\u{1F600}: ]{0,8}",
        ];
        (prop::collection::vec(piece, 0..60), prop::collection::vec(any::<u8>(), 0..3)).prop_map(|(pieces, junk)| {
            let mut bytes = pieces.concat().into_bytes();
            // Bytes that are no UTF-8, in the middle of a line.
            bytes.extend_from_slice(b"\ndata: ");
            bytes.extend_from_slice(&junk);
            bytes.extend_from_slice(b"\n\n");
            bytes
        })
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(bytes in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
            let whole = parse([bytes.as_slice()]);
            let single = parse(bytes.chunks(1));
            prop_assert_eq!(&whole, &single);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for to in at.into_iter().chain([bytes.len()]) {
                chunks.push(&bytes[from..to]);
                from = to;
            }
            prop_assert_eq!(whole, parse(chunks));
        }

        #[test]
        fn what_is_written_is_read(events in prop::collection::vec(("[a-z_]{1,9}", "[^\r\n]{0,40}"), 0..20)) {
            let text: String = events.iter().map(|(name, data)| format!("event: {name}\ndata: {data}\n\n")).collect();
            let expected: Vec<_> = events.iter().map(|(name, data)| event(name, data)).collect();
            prop_assert_eq!(parse(text.as_bytes().chunks(7)), expected);
        }
    }
}
