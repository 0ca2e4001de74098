//! Any text as a service's file, under the main file that we ship.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watershed_fuzz::{Bed, WATERSHED};

thread_local! {
    static BED: Bed = Bed::new();
}

fuzz_target!(|service: &[u8]| BED.with(|bed| bed.check(WATERSHED.as_bytes(), service)));
