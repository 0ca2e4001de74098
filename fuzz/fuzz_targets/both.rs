//! Any two texts as the main file and a service's, for faults between them: names and domains that are taken, limits
//! that both files set.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watershed_fuzz::Bed;

/// Separates the main file from the service's.
const MARK: &[u8] = b"#----\n";

thread_local! {
    static BED: Bed = Bed::new();
}

fuzz_target!(|files: &[u8]| {
    let mark = files.windows(MARK.len()).position(|window| window == MARK);
    let (main, service) = match mark {
        Some(at) => (&files[..at], &files[at + MARK.len()..]),
        None => (files, &b""[..]),
    };
    BED.with(|bed| bed.check(main, service));
});
