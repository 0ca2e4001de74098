//! `POST /api/v1/components`: keeps a component that is uploaded, until it is deployed. It is written as it
//! comes, into the state directory, and named by its digest alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::admin::Admin;
use crate::admin::error::AdminError;
use crate::admin::routes::no_parameters;
use crate::api::UploadDocument;
use crate::config::Digest;
use crate::source::LARGEST_COMPONENT;

/// Where uploads are, in the state directory.
const DIRECTORY: &str = "uploads";

/// How long an upload is kept.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// The most that are kept; the oldest go first.
const KEPT_MAX: usize = 16;

/// Uploads at once.
const AT_ONCE: usize = 4;

/// How long a client may send nothing.
const PAUSE: Duration = Duration::from_secs(10);

/// Parts that wait to be written.
const WAITING: usize = 4;

/// How a component begins, beside its version: bytes of the magic, and those of the layer.
const MAGIC: [u8; 4] = *b"\0asm";
const LAYER: [u8; 2] = [1, 0];
const PREAMBLE: usize = 8;

/// The uploads of a process.
#[derive(Clone, Debug)]
pub struct Uploads {
    directory: PathBuf,
    /// When the process began: what an earlier one has left goes.
    began: SystemTime,
    turns: Arc<Semaphore>,
    count: Arc<AtomicU64>,
}

impl Uploads {
    /// Uploads in a state directory. Nothing is made until something is uploaded.
    pub fn new(state: &Path) -> Self {
        Self {
            directory: state.join(DIRECTORY),
            began: SystemTime::now(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            count: Arc::default(),
        }
    }

    /// Where an upload with this digest is, if there is one.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let text = digest.to_string();
        let hex = text.strip_prefix("sha256:").unwrap_or(&text);
        self.directory.join(format!("{hex}.wasm"))
    }

    /// Removes what is older than an hour or than the process, and the oldest beyond those that are kept.
    pub fn tidy(&self) {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        found.sort();
        let surplus = found.len().saturating_sub(KEPT_MAX);
        for (number, (modified, path)) in found.into_iter().enumerate() {
            // A time in the future is that of a clock that was set.
            let is_old =
                modified.elapsed().is_ok_and(|age| age > KEPT) || self.is_earlier(modified);
            if is_old || number < surplus {
                // What cannot be removed is tried again.
                fs::remove_file(path).ok();
            }
        }
    }

    /// Whether a file was there before the process. File systems may round times down by seconds.
    fn is_earlier(&self, modified: SystemTime) -> bool {
        self.began.duration_since(modified).is_ok_and(|before| before > Duration::from_secs(2))
    }

    fn begin(&self) -> io::Result<Partial> {
        fs::create_dir_all(&self.directory)?;
        self.tidy();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!(".partial-{}-{number}", std::process::id()));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        Ok(Partial { file, path, hash: Sha256::new(), bytes: 0, beginning: Vec::new() })
    }

    /// Gives a whole upload its name.
    fn keep(&self, partial: Partial) -> Result<UploadDocument, AdminError> {
        if partial.beginning.len() < PREAMBLE {
            return Err(AdminError::NotAComponent("what was sent is no WebAssembly"));
        }
        let digest = Digest::from_bytes(partial.hash.clone().finalize().into());
        let named =
            partial.file.sync_all().and_then(|()| fs::rename(&partial.path, self.path(&digest)));
        named.map_err(AdminError::UploadUnwritable)?;
        Ok(UploadDocument { digest: digest.to_string(), bytes: partial.bytes })
    }
}

/// An upload that is not whole. Its file goes when it is dropped, unless it has got its name.
struct Partial {
    file: File,
    path: PathBuf,
    hash: Sha256,
    bytes: u64,
    /// The first bytes.
    beginning: Vec<u8>,
}

impl Partial {
    /// Writes what comes, to the end.
    fn fill(mut self, parts: &mut mpsc::Receiver<Bytes>) -> Result<Self, AdminError> {
        while let Some(part) = parts.blocking_recv() {
            self.bytes += part.len() as u64;
            if self.bytes > LARGEST_COMPONENT {
                return Err(too_long());
            }
            let missing = PREAMBLE - self.beginning.len();
            self.beginning.extend(part.iter().take(missing));
            if let Some(why) = not_a_component(&self.beginning) {
                return Err(AdminError::NotAComponent(why));
            }
            self.hash.update(&part);
            self.file.write_all(&part).map_err(AdminError::UploadUnwritable)?;
        }
        Ok(self)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Fails if it has got its name, which is the normal case.
        fs::remove_file(&self.path).ok();
    }
}

/// Why these are not the first bytes of a component, as far as they tell.
fn not_a_component(beginning: &[u8]) -> Option<&'static str> {
    let (magic, layer) = (beginning.get(..4), beginning.get(6..PREAMBLE));
    match (magic, layer) {
        (Some(magic), _) if *magic != MAGIC => Some("what was sent is no WebAssembly"),
        (_, Some(layer)) if *layer != LAYER => {
            Some("what was sent is a core module, and no component")
        }
        _ => None,
    }
}

fn too_long() -> AdminError {
    let longest = usize::try_from(LARGEST_COMPONENT).unwrap_or(usize::MAX);
    let help = format!("send a smaller component: one has at most {} MiB", LARGEST_COMPONENT >> 20);
    AdminError::BodyTooLong { longest, help }
}

/// Keeps what is sent.
pub async fn upload(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, AdminError> {
    no_parameters(query)?;
    is_wasm(&request)?;
    let body = request.into_body();
    // By `content-length`. Whoever waits for `100 Continue` is told before the body is sent.
    if body.size_hint().lower() > LARGEST_COMPONENT {
        return Err(too_long());
    }
    let uploads = admin.writes.uploads.clone();
    let turn = uploads.turns.clone().try_acquire_owned().map_err(|_| AdminError::Busy)?;
    let (send, mut parts) = mpsc::channel(WAITING);
    let writer = uploads.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let partial = writer.begin().map_err(AdminError::UploadUnwritable)?;
        partial.fill(&mut parts)
    });
    let sent = pass_on(body, send).await;
    let internal = |failed: tokio::task::JoinError| AdminError::Internal(failed.to_string());
    // What the writer says goes first: it is why nothing more was taken.
    let partial = writing.await.map_err(internal)??;
    sent?;
    let kept =
        tokio::task::spawn_blocking(move || uploads.keep(partial)).await.map_err(internal)??;
    drop(turn);
    Ok((StatusCode::CREATED, Json(kept)).into_response())
}

/// Passes a body on, part by part, until it ends. Where nobody takes it any more, the rest is read all the
/// same, within bounds: a client that is still sending would see a broken connection, and no answer.
async fn pass_on(mut body: Body, to: mpsc::Sender<Bytes>) -> Result<(), AdminError> {
    let mut passed = 0;
    while passed <= LARGEST_COMPONENT {
        let frame = match timeout(PAUSE, body.frame()).await {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Err(AdminError::BodyIncomplete(error.to_string())),
            Err(_) => return Err(AdminError::BodyLate),
        };
        if let Ok(part) = frame.into_data() {
            passed += part.len() as u64;
            to.send(part).await.ok();
        }
    }
    Ok(())
}

fn is_wasm(request: &Request) -> Result<(), AdminError> {
    let Some(sent) = request.headers().get(CONTENT_TYPE) else { return Ok(()) };
    let sent = String::from_utf8_lossy(sent.as_bytes());
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/wasm" => Ok(()),
        _ => Err(AdminError::UnsupportedMediaType {
            sent: sent.chars().take(100).collect(),
            wanted: "WebAssembly",
            send: "send it as `content-type: application/wasm`",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 13, 0, 1, 0];

    fn fill(uploads: &Uploads, parts: &[&[u8]]) -> Result<UploadDocument, AdminError> {
        let (send, mut taken) = mpsc::channel(parts.len() + 1);
        for part in parts {
            send.try_send(Bytes::copy_from_slice(part)).unwrap();
        }
        drop(send);
        uploads.keep(uploads.begin().unwrap().fill(&mut taken)?)
    }

    fn files(state: &Path) -> usize {
        fs::read_dir(state.join(DIRECTORY)).unwrap().count()
    }

    #[test]
    fn a_component_is_kept_by_its_digest_and_nothing_else_is() {
        let state = tempfile::tempdir().unwrap();
        let uploads = Uploads::new(state.path());
        let kept = fill(&uploads, &[&COMPONENT[..3], &COMPONENT[3..], b"rest"]).unwrap();
        let digest: Digest = kept.digest.parse().unwrap();
        assert_eq!(fs::read(uploads.path(&digest)).unwrap(), [&COMPONENT[..], b"rest"].concat());
        assert_eq!(kept.bytes, 12);
        let module: &[u8] = &[0, b'a', b's', b'm', 1, 0, 0, 0];
        for wrong in [&b"no"[..], b"nothing like it", module, b"", &COMPONENT[..7]] {
            let refused = fill(&uploads, &[wrong]).unwrap_err();
            assert!(matches!(refused, AdminError::NotAComponent(_)), "{wrong:?}: {refused}");
        }
        assert_eq!(files(state.path()), 1);
    }

    #[test]
    fn what_is_left_over_goes() {
        let state = tempfile::tempdir().unwrap();
        let uploads = Uploads::new(state.path());
        let digest: Digest = fill(&uploads, &[&COMPONENT]).unwrap().digest.parse().unwrap();
        uploads.tidy();
        assert!(uploads.path(&digest).exists());
        let set = |age: u64| {
            let file = OpenOptions::new().write(true).open(uploads.path(&digest)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        };
        set(60);
        uploads.tidy();
        assert!(!uploads.path(&digest).exists(), "of an earlier process");
        for number in 0..KEPT_MAX + 3 {
            fill(&uploads, &[&COMPONENT, number.to_string().as_bytes()]).unwrap();
        }
        uploads.tidy();
        assert_eq!(files(state.path()), KEPT_MAX);
    }
}
