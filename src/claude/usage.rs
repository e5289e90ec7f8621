//! Token counts, as the record wants them.

use super::wire::Usage;

impl Usage {
    /// Takes over the counts that `later` gives: those of a stream are cumulative, never to be added.
    pub fn merge(&mut self, later: &Usage) {
        let take = |mine: &mut Option<u64>, theirs: Option<u64>| *mine = theirs.or(*mine);
        take(&mut self.input_tokens, later.input_tokens);
        take(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        take(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        take(&mut self.output_tokens, later.output_tokens);
    }

    /// Tokens read from the cache.
    pub fn cache_read(&self) -> u64 {
        self.cache_read_input_tokens.unwrap_or(0)
    }

    /// Tokens written to the cache.
    pub fn cache_write(&self) -> u64 {
        self.cache_creation_input_tokens.unwrap_or(0)
    }

    /// Input tokens that the cache had no part in.
    pub fn input(&self) -> u64 {
        self.input_tokens.unwrap_or(0)
    }

    /// Output tokens.
    pub fn output(&self) -> u64 {
        self.output_tokens.unwrap_or(0)
    }

    /// All input: `input_tokens` does not include what was read from the cache or written to it.
    pub fn all_input(&self) -> u64 {
        self.input() + self.cache_read() + self.cache_write()
    }

    /// The request counts as a hit.
    pub fn cache_hit(&self) -> bool {
        self.cache_read() > 0
    }

    /// The prefix was neither read nor written: it is below the model's floor, which no error ever says.
    pub fn is_uncached(&self) -> bool {
        self.cache_read() == 0 && self.cache_write() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_counts_replace_and_never_add() {
        let mut usage = Usage { input_tokens: Some(20), cache_read_input_tokens: Some(900), ..Usage::default() };
        usage.merge(&Usage { output_tokens: Some(7), ..Usage::default() });
        usage.merge(&Usage { output_tokens: Some(31), input_tokens: Some(21), ..Usage::default() });
        assert_eq!((usage.input(), usage.output(), usage.all_input()), (21, 31, 921));
        assert!(usage.cache_hit() && !usage.is_uncached());
        assert!(Usage { input_tokens: Some(300), ..Usage::default() }.is_uncached());
    }
}
