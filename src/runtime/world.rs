//! Decides which of two worlds a component is made for, from its exports. Decided once and before
//! it is compiled, because each world has an engine of its own.

use std::str::FromStr;

use wasmtime::wasmparser::{Parser, Payload};

/// The interfaces that the host offers to every guest, in the versions of its world.
const OFFERED: [&str; 7] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// The handlers of requests. A guest exports one; a guest that passes requests on also imports one.
const HANDLERS: [&str; 2] = ["wasi:http/handler", "wasi:http/incoming-handler"];

/// A world that guests can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// The guest exports `wasi:http/incoming-handler@0.2`.
    P2,
    /// The guest exports `wasi:http/handler@0.3`, and may import interfaces of 0.2.
    P3,
}

impl World {
    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::P2 => "p2",
            Self::P3 => "p3",
        }
    }

    /// The world of a component with these exports. A component with both handlers gets `P3`, the
    /// engine that knows the async types of the second.
    pub(super) fn of(exports: &[&str]) -> Option<Self> {
        let has = |handler, version| exports.iter().any(|name| is(name, handler, version));
        if has("wasi:http/handler", "0.3.") {
            Some(Self::P3)
        } else if has("wasi:http/incoming-handler", "0.2.") {
            Some(Self::P2)
        } else {
            None
        }
    }

    /// Whether the host offers an import of this name to guests of this world.
    pub(super) fn offers(self, import: &str) -> bool {
        let versions: &[&str] = match self {
            Self::P2 => &["0.2."],
            Self::P3 => &["0.2.", "0.3."],
        };
        let Some((interface, _)) = import.split_once('@') else { return false };
        !is_handler(import)
            && OFFERED.iter().any(|offered| interface.starts_with(offered))
            && versions.iter().any(|version| is(import, interface, version))
    }
}

/// Whether a core module is made for WASI 0.1, by its imports.
pub(super) fn is_of_wasi_1(module: &[u8]) -> bool {
    const NAMES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];
    let payloads = Parser::new(0).parse_all(module).map_while(Result::ok);
    let imports = payloads.filter_map(|payload| match payload {
        Payload::ImportSection(imports) => Some(imports),
        _ => None,
    });
    let mut imports = imports.flat_map(|imports| imports.into_imports().map_while(Result::ok));
    imports.any(|import| NAMES.contains(&import.module))
}

/// There is no world of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a world is p2 or p3")]
pub struct NoSuchWorld;

impl FromStr for World {
    type Err = NoSuchWorld;

    fn from_str(name: &str) -> Result<Self, NoSuchWorld> {
        [Self::P2, Self::P3].into_iter().find(|world| world.name() == name).ok_or(NoSuchWorld)
    }
}

/// Whether a name is this interface in a release of this version. Release candidates do not count.
fn is(name: &str, interface: &str, version: &str) -> bool {
    let found = name.strip_prefix(interface).and_then(|rest| rest.strip_prefix('@'));
    found.is_some_and(|found| found.starts_with(version) && !found.contains('-'))
}

/// Whether a name is a handler, in any version.
pub(super) fn is_handler(name: &str) -> bool {
    name.split_once('@').is_some_and(|(interface, _)| HANDLERS.contains(&interface))
}

/// Whether a name is an interface of a WASI release candidate, such as `0.3.0-rc-2026-03-15`.
pub(super) fn is_draft(name: &str) -> bool {
    let Some((interface, version)) = name.split_once('@') else { return false };
    interface.starts_with("wasi:") && version.contains('-')
}

/// The client of HTTP that a component imports, if it imports one.
pub fn outgoing_import(bytes: &[u8]) -> Option<&str> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                let mut names = section.into_iter().filter_map(|it| Some(it.ok()?.name.name));
                let is_client = |name: &&str| {
                    is(name, "wasi:http/outgoing-handler", "0.2.")
                        || is(name, "wasi:http/client", "0.3.")
                };
                if let Some(name) = names.find(is_client) {
                    return Some(name);
                }
            }
            _ => {}
        }
    }
    None
}

/// The names that a component exports; `None` where its bytes are not well-formed.
pub(super) fn exports(bytes: &[u8]) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    // Nested components and modules have exports of their own, which do not count.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    names.push(export.ok()?.name.name);
                }
            }
            _ => {}
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handler_decides_the_world() {
        let world = |exports: &[&str]| World::of(exports);
        assert_eq!(world(&["wasi:http/incoming-handler@0.2.6"]), Some(World::P2));
        assert_eq!(world(&["memory", "wasi:http/handler@0.3.0"]), Some(World::P3));
        let both = ["wasi:http/incoming-handler@0.2.0", "wasi:http/handler@0.3.0"];
        assert_eq!(world(&both), Some(World::P3));
    }

    #[test]
    fn a_world_is_known_by_its_name() {
        for world in [World::P2, World::P3] {
            assert_eq!(world.name().parse(), Ok(world));
        }
        assert_eq!("p4".parse::<World>(), Err(NoSuchWorld));
    }

    #[test]
    fn drafts_and_other_interfaces_have_none() {
        for export in [
            "wasi:http/handler@0.3.0-rc-2026-03-15",
            "wasi:http/handler@0.2.0",
            "wasi:http/handler-next@0.3.0",
            "wasi:http/incoming-handler@0.3.0",
            "wasi:http/incoming-handler",
            "wasi:cli/run@0.2.0",
        ] {
            assert_eq!(World::of(&[export]), None, "{export}");
        }
        assert_eq!(World::of(&[]), None);
    }

    #[test]
    fn only_the_newer_world_is_offered_both_versions() {
        for (import, p2, p3) in [
            ("wasi:cli/environment@0.2.9", true, true),
            ("wasi:clocks/monotonic-clock@0.3.0", false, true),
            ("wasi:clocks/monotonic-clock@0.3.0-rc-1", false, false),
            ("wasi:keyvalue/store@0.2.0", false, false),
            ("wasi:cli/environment", false, false),
            ("wasi:http/types@0.2.9", true, true),
            ("wasi:http/incoming-handler@0.2.9", false, false),
            ("wasi:http/handler@0.3.0", false, false),
            ("wasi:http/client@0.3.0", false, true),
        ] {
            assert_eq!((World::P2.offers(import), World::P3.offers(import)), (p2, p3), "{import}");
        }
    }

    #[test]
    fn drafts_of_wasi_are_recognised_and_others_are_not_ours() {
        for (name, draft) in [
            ("wasi:http/handler@0.3.0-rc-2026-03-15", true),
            ("wasi:cli/stdout@0.2.0-rc-2023-11-10", true),
            ("wasi:http/handler@0.3.0", false),
            ("acme:shop/cart@1.0.0-beta", false),
            ("wasi:http/incoming-handler", false),
        ] {
            assert_eq!(is_draft(name), draft, "{name}");
        }
    }

    #[test]
    fn bytes_that_end_early_have_no_exports() {
        assert_eq!(exports(b"\0asm\x0d\0\x01\0"), Some(Vec::new()));
        assert_eq!(exports(b"\0asm\x0d\0\x01\0\x0b"), None);
    }
}
