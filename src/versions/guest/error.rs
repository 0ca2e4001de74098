//! Why a guest cannot be made ready: the runtime's errors as errors of a status, each with what the
//! operator can do.

use super::super::status::{StatusCode, StatusError};
use crate::runtime::ProgramError;

/// What to do about a component that was built for another host.
const REBUILD: &str = "rebuild it for a release of WASI: 0.2 (in Rust, the target wasm32-wasip2) or \
                       0.3.0 (in Rust, the crate wasip3 0.9; elsewhere, the WIT of wasi:http@0.3.0)";
/// What to do about a core module for WASI 0.1.
const ADAPT: &str = "build it for WASI 0.2 (in Rust, the target wasm32-wasip2), or make a component of it with the \
                     adapter of a Wasmtime release: `wasm-tools component new THIS.wasm --adapt \
                     wasi_snapshot_preview1.reactor.wasm -o component.wasm`";
/// What to do about a component that calls another component.
const COMPOSE: &str = "compose it with the component that it calls, and deploy what comes of that: \
                       `wac plug THIS.wasm --plug OTHER.wasm -o composed.wasm` \
                       (https://github.com/bytecodealliance/wac)";
/// What to do where bindings are newer than the host.
const OLDER_BINDINGS: &str = "build it with the WIT of WASI 0.2.12 or older, or of 0.3.0; if it is, \
                              this is a bug in watershed";

impl From<ProgramError> for StatusError {
    fn from(error: ProgramError) -> Self {
        let code = match &error {
            ProgramError::NotAComponent(_) | ProgramError::Wasi1 => StatusCode::NotAComponent,
            ProgramError::UnsupportedWorld { .. } | ProgramError::ReleaseCandidate { .. } => {
                StatusCode::UnsupportedWorld
            }
            ProgramError::ImportDenied { .. }
            | ProgramError::ImportsHandler { .. }
            | ProgramError::NotLinked(_) => StatusCode::ImportDenied,
            ProgramError::CompileFailed(_) => StatusCode::CompileFailed,
            ProgramError::CompilerStopped(_) | ProgramError::CompilerHeldUp { .. } => {
                StatusCode::CompilerStopped
            }
            ProgramError::MemoryTooSmall { .. } => StatusCode::MemoryTooSmall,
            ProgramError::StartFailed(_) => StatusCode::StartFailed,
        };
        let suggestion = match &error {
            ProgramError::Wasi1 => ADAPT,
            ProgramError::ReleaseCandidate { .. } => REBUILD,
            ProgramError::ImportsHandler { .. } => COMPOSE,
            ProgramError::NotLinked(_) => OLDER_BINDINGS,
            ProgramError::CompilerHeldUp { advice, .. } => advice,
            _ => code.suggestion(),
        };
        let is_transient = matches!(error, ProgramError::CompilerHeldUp { .. });
        Self { code, detail: error.to_string(), suggestion, is_transient }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_fits_to_what_is_wrong() {
        let how = "exports wasi:http/handler@0.3.0-rc-2026-03-15".to_owned();
        let handler = "wasi:http/handler@0.3.0".to_owned();
        for (error, code, detail, suggestion) in [
            (
                ProgramError::ReleaseCandidate { how },
                "unsupported-world",
                "built for a release candidate of WASI: it exports wasi:http/handler@0.3.0-rc",
                "rebuild it for a release",
            ),
            (
                ProgramError::Wasi1,
                "not-a-component",
                "core module for WASI 0.1",
                "build it for WASI 0.2",
            ),
            (
                ProgramError::ImportsHandler { handler },
                "import-denied",
                "imports a handler, wasi:http/handler@0.3.0",
                "compose it",
            ),
            (
                ProgramError::ImportDenied { imports: "acme:shop/cart".to_owned() },
                "import-denied",
                "imports acme:shop/cart",
                "build the guest without this import",
            ),
        ] {
            let error = StatusError::from(error);
            assert_eq!(error.code.as_str(), code);
            assert!(error.detail.contains(detail), "{error}");
            assert!(error.suggestion.starts_with(suggestion), "{error}");
        }
    }
}
