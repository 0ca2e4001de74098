//! Follows the frames of one direction of a connection as their bytes pass, in parts of any size. Payloads are not looked
//! into, except for the reason of a reset.

use h2::Reason;

/// The types of frames ([RFC 9113, section 6](https://www.rfc-editor.org/rfc/rfc9113#section-6)).
pub mod kind {
    pub const DATA: u8 = 0x0;
    pub const HEADERS: u8 = 0x1;
    pub const RST_STREAM: u8 = 0x3;
    pub const SETTINGS: u8 = 0x4;
    pub const CONTINUATION: u8 = 0x9;
}

pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

/// Length, type, flags and stream of a frame
/// ([RFC 9113, section 4.1](https://www.rfc-editor.org/rfc/rfc9113#section-4.1)).
const HEADER: usize = 9;
/// Bytes of a reset's reason.
const REASON: usize = 4;

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    /// Bytes of its payload.
    pub length: usize,
    /// Of a reset.
    pub reason: Option<Reason>,
}

impl Frame {
    /// Whether it ends its stream, of those that can.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }
}

/// One direction.
#[derive(Debug, Default)]
pub struct Frames {
    /// What has come of a frame's header, and of the reason that follows in a reset.
    head: [u8; HEADER + REASON],
    filled: usize,
    /// Bytes of the present frame that are skipped.
    skip: usize,
    /// Whether the block of fields that was begun goes on in another frame.
    is_block_open: bool,
    /// Whether the present frame is a part of such a block.
    is_of_block: bool,
    /// Frames that began, without those that go on with a block.
    begun: u64,
}

impl Frames {
    /// The frames that follow so many other bytes.
    pub fn behind(skip: usize) -> Self {
        Self { skip, ..Self::default() }
    }

    /// Looks at the next bytes. A frame is found once its header is complete.
    pub fn look(&mut self, mut bytes: &[u8], mut found: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let (taken, rest) = bytes.split_at(self.wanted().min(bytes.len()));
            if let Some(room) = self.head.get_mut(self.filled..self.filled + taken.len()) {
                room.copy_from_slice(taken);
                self.filled += taken.len();
            }
            bytes = rest;
            if self.filled >= HEADER && self.wanted() == 0 {
                found(self.end_of_head());
            }
        }
    }

    /// The number of the block of fields, or of the frame's header, that has begun and is not complete.
    pub fn head(&self) -> Option<u64> {
        let is_within =
            self.filled > 0 || self.is_block_open || (self.is_of_block && self.skip > 0);
        is_within.then_some(self.begun)
    }

    /// How much of the head is yet to come.
    fn wanted(&self) -> usize {
        let is_reset = self.filled >= 4 && self.head[3] == kind::RST_STREAM;
        let whole = if is_reset { HEADER + REASON } else { HEADER };
        if self.skip > 0 { 0 } else { whole.saturating_sub(self.filled) }
    }

    fn end_of_head(&mut self) -> Frame {
        let [a, b, c, kind, flags, s0, s1, s2, s3, reason @ ..] = self.head;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        self.skip = length.saturating_sub(self.filled - HEADER);
        let is_reset = self.filled > HEADER;
        self.filled = 0;
        self.begun += u64::from(!self.is_block_open);
        self.is_of_block = matches!(kind, kind::HEADERS | kind::CONTINUATION);
        if self.is_of_block {
            self.is_block_open = flags & END_HEADERS == 0;
        }
        Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
            length,
            reason: is_reset.then(|| Reason::from(u32::from_be_bytes(reason))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// Frames that contain the bytes of other frames, an empty one, and resets.
    #[test]
    fn frames_are_found_however_they_are_cut() {
        let cancel = u32::from(Reason::CANCEL).to_be_bytes();
        let passed = [
            b"PRI * HTTP/2.0".to_vec(),
            frame(0x4, 0, 0, &[kind::RST_STREAM; 12]),
            frame(kind::HEADERS, END_HEADERS, 1, b"head"),
            frame(kind::DATA, END_STREAM, 1, &frame(kind::RST_STREAM, 0, 9, &cancel)),
            frame(kind::RST_STREAM, 0, 3, &cancel),
            frame(0x4, 0x1, 0, b""),
        ]
        .concat();
        let found =
            |kind, flags, stream, length, reason| Frame { kind, flags, stream, length, reason };
        let expected = [
            found(0x4, 0, 0, 12, None),
            found(kind::HEADERS, END_HEADERS, 1, 4, None),
            found(kind::DATA, END_STREAM, 1, 13, None),
            found(kind::RST_STREAM, 0, 3, 4, Some(Reason::CANCEL)),
            found(0x4, 0x1, 0, 0, None),
        ];
        for size in 1..=passed.len() {
            let (mut frames, mut all) = (Frames::behind(14), Vec::new());
            for part in passed.chunks(size) {
                frames.look(part, |frame| all.push(frame));
            }
            assert_eq!(all, expected, "in parts of {size}");
            assert_eq!(frames.head(), None);
        }
    }

    #[test]
    fn a_head_is_within_until_its_last_byte() {
        let head = [
            frame(kind::HEADERS, 0, 1, b"ab"),
            frame(kind::CONTINUATION, 0, 1, b""),
            frame(kind::CONTINUATION, END_HEADERS, 1, b"c"),
        ]
        .concat();
        let mut frames = Frames::default();
        for (index, byte) in head.iter().enumerate() {
            frames.look(&[*byte], |_| {});
            assert_eq!(frames.head().is_some(), index + 1 < head.len(), "{index}");
        }
        assert_eq!(frames.begun, 1);
        // A body that is under way is none.
        frames.look(&frame(kind::DATA, 0, 1, b"abc")[..10], |_| {});
        assert_eq!(frames.head(), None);
    }
}
