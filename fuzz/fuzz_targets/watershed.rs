//! Any text as the main file, beside the service that we ship.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watershed_fuzz::{Bed, SERVICE};

thread_local! {
    static BED: Bed = Bed::new();
}

fuzz_target!(|main: &[u8]| BED.with(|bed| bed.check(main, SERVICE.as_bytes())));
