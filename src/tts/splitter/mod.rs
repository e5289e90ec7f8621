//! The splitter: Claude's text deltas in, speakable chunks out, while Claude still writes.
//!
//! It works on whole words (what stands between two spaces) and looks no further than the beginning of the next one,
//! so where a delta ends never decides anything, and a cut never falls inside a number, a URL or a word.
//!
//! It knows no time. Whoever does asks it to [hurry](Splitter::hurry): in the first chunk where no better word has come
//! soon, later where the sound that is queued runs out; without that a sentence stays whole.

mod line;
mod mark;
mod speakable;
mod words;

use crate::config::Language;
use line::{Line, Part};
use mark::Mark;
use speakable::Speakable;
use words::Seam;

/// Without a mark, a chunk that is wanted soon ends after this many words where speech tolerates it; the first one, where it
/// is wanted now, after so many parts of words ("laissez-moi", "j'ouvre")…
const FEW_WORDS: usize = 2;
/// … and the first one after this many wherever a word ends.
const FIRST_WORDS_MOST: usize = 9;
/// A sentence longer than this many words is cut at its last clause mark…
const SENTENCE_WORDS: usize = 25;
/// … and, where it has none, after this many words where speech tolerates it.
const SENTENCE_WORDS_MOST: usize = 40;
/// A piece of a long sentence has at least this many words.
const PIECE_WORDS: usize = 6;

/// What follows a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pause {
    /// The sentence goes on: no pause.
    None,
    /// A comma, a colon, a dash.
    Clause,
    /// The sentence, the list item or the heading ends.
    Sentence,
    /// The paragraph ends.
    Paragraph,
}

/// A piece of an answer that is spoken in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// What is spoken: no markdown, no emoji, symbols as words. Holds at least one letter or digit.
    pub text: String,
    /// What Claude wrote for it. All of them in order, then [`Splitter::tail`], are Claude's text.
    pub written: String,
    /// The pause that follows.
    pub pause: Pause,
}

/// Splits one answer. Make a new one for the next answer.
#[derive(Clone)]
pub struct Splitter {
    language: Language,
    /// Characters that the first chunk has at least, unless its sentence ends before.
    least: usize,
    /// What was written since the last cut.
    buffer: String,
    /// `buffer[..taken]` was taken in, word by word.
    taken: usize,
    /// No space stands in `buffer[taken..searched]` after its first letter.
    searched: usize,
    speakable: Speakable,
    /// Words to speak since the last cut.
    words: usize,
    /// Parts of the words since the begin.
    parts: usize,
    /// The mark of the last word, for a closing quote that follows after a space.
    pending: Mark,
    /// The last clause mark at which a long sentence may be cut.
    clause: Option<Place>,
    /// The best place since the last cut for one that is wanted now.
    best: Option<(Rank, Place)>,
    /// A cut is wanted at the next place that will do.
    hurried: bool,
    line: Line,
    /// Open brackets and quotes: no cut without a mark inside them.
    open: i32,
    first: bool,
    finished: bool,
}

/// A place for a cut that was passed.
#[derive(Clone, Copy)]
struct Place {
    written: usize,
    spoken: usize,
    words: usize,
    pause: Pause,
}

/// Of two places the later one is better, and a clause mark better than any other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Word,
    Clause,
}

/// What stands between a word and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// A space, or a newline that means no more; then this character.
    Space(char),
    /// The line ends here: heading, list item, table row, code.
    Line,
    /// An empty line.
    Paragraph,
    /// The text ends here.
    End,
}

impl Splitter {
    /// A splitter for an answer in `language`.
    pub fn new(language: Language) -> Self {
        Self {
            language,
            least: 0,
            buffer: String::new(),
            taken: 0,
            searched: 0,
            speakable: Speakable::new(language),
            words: 0,
            parts: 0,
            pending: Mark::None,
            clause: None,
            best: None,
            hurried: false,
            line: Line::new(),
            open: 0,
            first: true,
            finished: false,
        }
    }

    /// The first chunk has at least so many characters, unless its sentence ends before: a voice that is slow needs
    /// time for the second one ([`Pace::least_first`](super::Pace::least_first)).
    pub fn least_first(mut self, characters: usize) -> Self {
        self.least = characters;
        self
    }

    /// Takes what Claude wrote next; gives the chunks that it completes, most often none.
    pub fn push(&mut self, delta: &str) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        self.buffer.push_str(delta);
        self.advance(&mut chunks);
        chunks
    }

    /// Claude's text has ended: gives what is left of it. Afterwards, [`Splitter::push`] gives nothing sensible.
    pub fn finish(&mut self) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        self.finished = true;
        self.advance(&mut chunks);
        if self.words > 0 {
            self.cut(self.buffer.len(), Pause::Sentence, &mut chunks);
        }
        chunks
    }

    /// Cuts what is there at its best place; where there is none yet, the next one that will do is taken when it comes.
    /// A first chunk then ends even after an article.
    pub fn hurry(&mut self) -> Option<Chunk> {
        let mut chunks = Vec::new();
        self.hurried = true;
        if let Some((_, place)) = self.best.take() {
            self.cut_at(place, &mut chunks);
        }
        chunks.pop()
    }

    /// How many characters wait for a cut that [`Splitter::hurry`] would bring about; none where it was asked already,
    /// and in the first chunk where it has no place for one.
    pub fn waiting(&self) -> Option<usize> {
        let waits = self.words > 0 && !self.hurried && (!self.first || self.best.is_some());
        waits.then(|| self.speakable.count())
    }

    /// No chunk was cut yet.
    pub fn at_first(&self) -> bool {
        self.first
    }

    /// The text of the first chunk as it will be if the next word begins here and now and no better place comes in time;
    /// none where it would not end.
    pub fn likely_first(&self) -> Option<String> {
        let mut fork = self.first.then(|| self.clone())?;
        fork.push(" a").into_iter().next().or_else(|| fork.hurry()).map(|chunk| chunk.text)
    }

    /// What was written after the last chunk and has nothing to speak (an emoji, a space). Whole after
    /// [`Splitter::finish`].
    pub fn tail(&self) -> &str {
        &self.buffer
    }

    fn advance(&mut self, chunks: &mut Vec<Chunk>) {
        while let Some((start, end, gap)) = self.next_word() {
            let word = self.buffer[start..end].to_owned();
            (self.taken, self.searched) = (end, end);
            self.take(&word, gap, chunks);
            self.line.gap(gap);
        }
    }

    /// The next word that is complete, as a range of the buffer, and what follows it.
    fn next_word(&mut self) -> Option<(usize, usize, Gap)> {
        let start = self.taken + self.buffer[self.taken..].find(|c| !is_space(c))?;
        let from = self.searched.max(start);
        let end = match self.buffer[from..].find(is_space) {
            Some(length) => from + length,
            None if self.finished => self.buffer.len(),
            None => {
                self.searched = self.buffer.len();
                return None;
            }
        };
        let after = &self.buffer[end..];
        let Some(length) = after.find(|c| !is_space(c)) else { return self.finished.then_some((start, end, Gap::End)) };
        let (blank, next_line) = after.split_at(length);
        let gap = match blank.matches('\n').count() {
            0 => Gap::Space(next_line.chars().next()?),
            1 if self.line.ends_at_newline(&self.buffer[start..end], next_line, self.finished)? => Gap::Line,
            1 => Gap::Space(next_line.chars().next()?),
            _ => Gap::Paragraph,
        };
        Some((start, end, gap))
    }

    fn take(&mut self, word: &str, gap: Gap, chunks: &mut Vec<Chunk>) {
        let mut mark = Mark::None;
        let part = self.line.word(word);
        if part != Part::Markup {
            let word = self.speakable.without_link(word);
            if self.speakable.word(&word) {
                self.words += 1;
                self.parts += parts(&word);
            } else {
                mark = self.pending;
            }
            let next = if let Gap::Space(next) = gap { Some(next) } else { None };
            if part == Part::Word {
                mark = mark.max(Mark::of(&word, next, self.language));
            }
            self.open += word.chars().map(bracket).sum::<i32>();
            self.pending = mark;
        }
        if self.words == 0 {
            return;
        }
        let here = self.taken;
        match gap {
            Gap::End => {}
            Gap::Paragraph => self.cut_line(here, Pause::Paragraph, chunks),
            Gap::Line => self.cut_line(here, Pause::Sentence, chunks),
            // French sets a space before these; they belong to the word before it.
            Gap::Space('!' | '?' | ':' | ';' | '»' | '…' | '%' | '°' | '€' | '$' | '£') => {}
            Gap::Space(_) if mark == Mark::Sentence => self.cut(here, Pause::Sentence, chunks),
            Gap::Space(_) if mark == Mark::Clause => {
                let place = self.place(Pause::Clause);
                let wanted = if self.first { self.long_enough() } else { self.hurried };
                if self.words >= SENTENCE_WORDS || wanted {
                    return self.cut_at(place, chunks);
                }
                if !self.first {
                    self.remember(Rank::Clause, place);
                }
                if self.words >= PIECE_WORDS {
                    self.clause = Some(place);
                }
            }
            Gap::Space(next) => self.cut_between(word, next, chunks),
        }
    }

    /// After `word`, which has no mark.
    fn cut_between(&mut self, word: &str, next: char, chunks: &mut Vec<Chunk>) {
        let seam = Seam::of(word, next, self.language);
        let place = self.place(Pause::None);
        let long = self.words >= SENTENCE_WORDS;
        if let Some(place) = self.clause.take_if(|_| long) {
            return self.cut_at(place, chunks);
        }
        let most = if self.first { FIRST_WORDS_MOST } else { 2 * SENTENCE_WORDS_MOST };
        let ends = self.words >= SENTENCE_WORDS_MOST && self.open <= 0 && seam == Seam::Good;
        if ends || self.words >= most && seam > Seam::Never {
            return self.cut_at(place, chunks);
        }
        let enough = self.words >= FEW_WORDS;
        if !(enough || self.first && self.parts >= FEW_WORDS) || self.open > 0 || (self.first && !self.long_enough()) {
            return;
        }
        // The first chunk is always wanted soon.
        let worst = if self.first { Seam::Poor } else { Seam::Fair };
        if self.hurried && seam >= worst || self.first && enough && seam >= Seam::Fair {
            self.cut_at(place, chunks);
        } else if seam >= worst {
            self.remember(Rank::Word, place);
        }
    }

    /// Here, after the words that were taken so far.
    fn place(&self, pause: Pause) -> Place {
        Place { written: self.taken, spoken: self.speakable.len(), words: self.words, pause }
    }

    fn remember(&mut self, rank: Rank, place: Place) {
        if self.best.is_none_or(|(best, _)| rank >= best) {
            self.best = Some((rank, place));
        }
    }

    fn long_enough(&self) -> bool {
        self.speakable.count() >= self.least
    }

    /// At a place that was passed: what came after it begins the next chunk.
    fn cut_at(&mut self, place: Place, chunks: &mut Vec<Chunk>) {
        let (words, rest) = (self.words - place.words, self.speakable.split_off(place.spoken));
        self.cut(place.written, place.pause, chunks);
        self.words = words;
        self.speakable.put_back(rest);
    }

    /// A line ends as a sentence does, whether it was written so or not.
    fn cut_line(&mut self, at: usize, pause: Pause, chunks: &mut Vec<Chunk>) {
        self.speakable.end_line();
        self.cut(at, pause, chunks);
    }

    fn cut(&mut self, at: usize, pause: Pause, chunks: &mut Vec<Chunk>) {
        let rest = self.buffer.split_off(at);
        let written = std::mem::replace(&mut self.buffer, rest);
        self.taken = self.taken.saturating_sub(at);
        self.searched = self.searched.saturating_sub(at);
        chunks.push(Chunk { text: self.speakable.finish(), written, pause });
        (self.words, self.open, self.first) = (0, 0, false);
        (self.pending, self.clause) = (Mark::None, None);
        (self.best, self.hurried) = (None, false);
    }
}

/// A space that separates words; the no-break ones do not.
fn is_space(c: char) -> bool {
    c.is_whitespace() && !matches!(c, '\u{a0}' | '\u{202f}' | '\u{2007}')
}

/// Parts of a word that are words of their own: after a hyphen or an elision.
fn parts(word: &str) -> usize {
    word.split(['-', '\'', '’']).filter(|part| part.chars().any(char::is_alphanumeric)).count().max(1)
}

fn bracket(c: char) -> i32 {
    match c {
        '(' | '[' | '«' | '“' => 1,
        ')' | ']' | '»' | '”' => -1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
