//! Counts the words of a request body as it arrives, in constant memory however long it is.

use wasip2::http::types::{ErrorCode, IncomingRequest, http_error_code};
use wasip2::io::streams::{InputStream, StreamError};

const CHUNK: u64 = 64 * 1024;

/// Words are separated by ASCII whitespace, and may lie across chunks.
#[derive(Default)]
pub struct Count {
    pub words: u64,
    pub bytes: u64,
    in_word: bool,
}

impl Count {
    fn add(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        for byte in chunk {
            let in_word = !byte.is_ascii_whitespace();
            self.words += u64::from(in_word && !self.in_word);
            self.in_word = in_word;
        }
    }
}

/// Reads the whole body. Fails if it ends before its end, as when the client goes away.
pub fn count(request: &IncomingRequest) -> Result<Count, ErrorCode> {
    let taken = |()| ErrorCode::InternalError(None);
    let body = request.consume().map_err(taken)?;
    let stream = body.stream().map_err(taken)?;
    let mut count = Count::default();
    while let Some(chunk) = next(&stream)? {
        count.add(&chunk);
    }
    Ok(count)
}

fn next(stream: &InputStream) -> Result<Option<Vec<u8>>, ErrorCode> {
    match stream.blocking_read(CHUNK) {
        Ok(chunk) => Ok(Some(chunk)),
        Err(StreamError::Closed) => Ok(None),
        Err(StreamError::LastOperationFailed(error)) => {
            Err(http_error_code(&error).unwrap_or(ErrorCode::InternalError(None)))
        }
    }
}
