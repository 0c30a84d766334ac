//! A message body in pieces: the record lies on the stack, the tails lie in the arguments of the caller.

/// Words in a line of a driver that sends messages by the line.
pub const LINE: usize = 7;

/// Copies at most seven words, one by one, and returns their number; returns `None` if there are more.
///
/// The words were stored a moment ago, one store each. A load of two words at once, as in a copy of a slice, stalls until both
/// stores have left the store buffer, which takes five times as long as this function. So it is written in a way that the
/// compiler does not turn into a copy of a slice.
#[inline]
pub fn copy_line(from: &[u64], to: &mut [u64; LINE]) -> Option<usize> {
    let len = from.len();
    if len > LINE {
        return None;
    }
    let mut copy = |at: usize| {
        let more = at < len;
        if more {
            to[at] = from[at];
        }
        more
    };
    let _ = copy(0) && copy(1) && copy(2) && copy(3) && copy(4) && copy(5) && copy(6);
    Some(len)
}

/// The words of one message, gathered from the record and from byte slices, each padded with zeroes to a whole word.
///
/// A driver takes the words out with a [`Reader`], or hands the pieces to the kernel as they are.
#[derive(Debug, Clone, Copy)]
pub struct Gather<'a> {
    /// The record, or a whole body that was put together before.
    pub fixed: &'a [u64],
    /// Bytes of the tails, in order.
    pub tails: &'a [&'a [u8]],
}

impl<'a> Gather<'a> {
    /// Creates a body that is a record without tails.
    #[inline]
    #[must_use]
    pub const fn words_only(fixed: &'a [u64]) -> Self {
        Self { fixed, tails: &[] }
    }

    /// Returns the number of words of the body.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.fixed.len() + self.tails.iter().map(|tail| tail.len().div_ceil(8)).sum::<usize>()
    }

    /// Returns true if the body has no words.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the words of a small body to `out` and returns their number; returns `None` if `out` is too short.
    #[inline]
    pub fn put_together(&self, out: &mut [u64; LINE]) -> Option<usize> {
        let mut used = copy_line(self.fixed, out)?;
        for tail in self.tails {
            let words = tail.len().div_ceil(8);
            let place = out.get_mut(used..used + words)?;
            if let Some(last) = place.last_mut() {
                *last = 0;
            }
            bytemuck::cast_slice_mut(place)[..tail.len()].copy_from_slice(tail);
            used += words;
        }
        Some(used)
    }

    /// Returns a reader that begins at word `from`.
    ///
    /// ```
    /// use flounder_wire::Gather;
    /// let body = Gather { fixed: &[7], tails: &[b"hello, world"] };
    /// assert_eq!(body.len(), 3);
    /// let mut out = [0; 2];
    /// assert_eq!(body.reader(1).read(&mut out), 2);
    /// assert_eq!(out, [u64::from_ne_bytes(*b"hello, w"), u64::from_ne_bytes(*b"orld\0\0\0\0")]);
    /// ```
    #[inline]
    #[must_use]
    pub fn reader(&self, from: usize) -> Reader<'a> {
        let mut reader = Reader { fixed: self.fixed, now: &[], tails: self.tails };
        reader.skip(from);
        reader
    }
}

/// Reads the words of a [`Gather`], in order.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    fixed: &'a [u64],
    now: &'a [u8],
    tails: &'a [&'a [u8]],
}

impl<'a> Reader<'a> {
    /// Copies the next words to `out` and returns their number, which is less than `out.len()` only at the end of the body.
    #[inline]
    pub fn read(&mut self, out: &mut [u64]) -> usize {
        let head = self.fixed.len().min(out.len());
        out[..head].copy_from_slice(&self.fixed[..head]);
        self.fixed = &self.fixed[head..];
        if head == out.len() { head } else { head + self.read_tails(&mut out[head..]) }
    }

    /// Returns the next groups of seven words that lie in one piece, at most as many as requested: full lines of a long
    /// message. Returns none if the next seven words lie in several pieces, or fewer are left.
    ///
    /// ```
    /// use flounder_wire::Gather;
    /// let body = Gather { fixed: &[7; 9], tails: &[&[8; 120]] };
    /// let mut reader = body.reader(2);
    /// assert_eq!(reader.lines(5).len(), 1);
    /// assert_eq!(reader.lines(5), [[8; 56]; 2]);
    /// assert_eq!(reader.lines(5).len(), 0);
    /// assert_eq!(reader.read(&mut [0; 7]), 1);
    /// ```
    #[inline]
    pub fn lines(&mut self, most: usize) -> &'a [[u8; LINE * 8]] {
        if self.fixed.is_empty() {
            if self.now.is_empty()
                && let Some((next, rest)) = self.tails.split_first()
            {
                (self.now, self.tails) = (next, rest);
            }
            let (lines, _) = self.now.as_chunks();
            let lines = &lines[..most.min(lines.len())];
            self.now = &self.now[lines.as_flattened().len()..];
            lines
        } else {
            let (lines, _) = bytemuck::cast_slice(self.fixed).as_chunks();
            let lines = &lines[..most.min(lines.len())];
            self.fixed = &self.fixed[lines.len() * LINE..];
            lines
        }
    }

    fn read_tails(&mut self, out: &mut [u64]) -> usize {
        let mut done = 0;
        while done < out.len() {
            if self.now.is_empty() {
                let Some((next, rest)) = self.tails.split_first() else { break };
                (self.now, self.tails) = (next, rest);
                continue;
            }
            let whole = (self.now.len() / 8).min(out.len() - done);
            if whole == 0 {
                let mut last = [0; 8];
                last[..self.now.len()].copy_from_slice(self.now);
                out[done] = u64::from_ne_bytes(last);
                (done, self.now) = (done + 1, &[]);
            } else {
                let (bytes, rest) = self.now.split_at(whole * 8);
                bytemuck::cast_slice_mut(&mut out[done..done + whole]).copy_from_slice(bytes);
                (done, self.now) = (done + whole, rest);
            }
        }
        done
    }

    #[inline]
    fn skip(&mut self, mut words: usize) {
        let head = self.fixed.len().min(words);
        self.fixed = &self.fixed[head..];
        words -= head;
        while words > 0 {
            if self.now.is_empty() {
                let Some((next, rest)) = self.tails.split_first() else { break };
                (self.now, self.tails) = (next, rest);
                continue;
            }
            let here = self.now.len().div_ceil(8).min(words);
            self.now = &self.now[(here * 8).min(self.now.len())..];
            words -= here;
        }
    }
}
