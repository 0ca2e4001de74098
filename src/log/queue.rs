//! Lines that wait to be written. They are kept as one text, so that its length is the memory in
//! use.

/// The most bytes of waiting lines. While a batch is written, as many bytes again may wait.
const MOST: usize = 1 << 20;
/// Bytes of memory kept between two bursts of lines.
const KEPT: usize = 64 << 10;

/// Lines, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Queue {
    text: Vec<u8>,
    /// Lines dropped since the last batch was taken.
    dropped: u64,
}

/// The lines taken from the queue at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Whole lines.
    pub text: Vec<u8>,
    /// How many lines are missing after them.
    pub dropped: u64,
}

impl Queue {
    /// Adds whole lines. `false` if there is no room and they are dropped. A text larger than the
    /// queue is accepted when nothing else waits, so that no report is too long to be logged.
    pub fn push(&mut self, text: &[u8]) -> bool {
        let has_room = self.text.is_empty() || self.text.len().saturating_add(text.len()) <= MOST;
        match has_room {
            true => self.text.extend_from_slice(text),
            false => self.dropped += lines(text),
        }
        has_room
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes all lines. `spare` is memory to reuse for the next lines.
    pub fn take(&mut self, mut spare: Vec<u8>) -> Batch {
        spare.clear();
        spare.shrink_to(KEPT);
        let text = std::mem::replace(&mut self.text, spare);
        Batch { text, dropped: std::mem::take(&mut self.dropped) }
    }
}

/// How many lines a text has, each with its end.
pub(super) fn lines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_in_order_and_those_without_room_are_counted() {
        let mut queue = Queue::default();
        let line = [[b'x'; 1023].as_slice(), b"\n"].concat();
        let taken = (0..2 * MOST / line.len()).filter(|_| queue.push(&line)).count();
        assert_eq!(taken, MOST / line.len());
        assert!(!queue.push(b"two\nlines\n"));
        let batch = queue.take(Vec::new());
        assert_eq!((batch.text.len(), batch.dropped), (MOST, taken as u64 + 2));
        assert!(queue.push(b"next\n"));
        let batch = queue.take(batch.text);
        assert_eq!((&*batch.text, batch.dropped), (&b"next\n"[..], 0));
    }

    #[test]
    fn a_text_that_is_larger_than_the_queue_is_taken_alone() {
        let mut queue = Queue::default();
        let report = vec![b'\n'; 2 * MOST];
        assert!(queue.push(&report) && !queue.push(b"x\n"));
        assert_eq!(queue.take(Vec::new()).text.len(), report.len());
        assert!(queue.push(b"x\n") && !queue.push(&report));
    }

    #[test]
    fn memory_is_given_back_after_a_burst() {
        let mut queue = Queue::default();
        queue.push(&vec![b'\n'; MOST]);
        let batch = queue.take(Vec::new());
        queue.take(batch.text);
        assert!(queue.text.capacity() <= KEPT, "{}", queue.text.capacity());
    }
}
