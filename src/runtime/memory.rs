//! Gives memory that is free back to the system. Mimalloc does so by itself only while something allocates: what a burst
//! has taken stays with a process that has become idle, and so does the memory of a finished compilation.

use std::ffi::{c_int, c_long};

/// How many pages of one size of blocks a thread may take back because it frees a block in one of them. The bindings have no
/// name for the option (`mi_option_page_max_reclaim`); a test sees whether its number is still right.
const PAGE_MAX_RECLAIM: c_int = 41;

/// Has threads take no pages back by freeing. By default they take all of them. Then what others free there later is known
/// to a thread only once it allocates, and an idle one never does: of a burst of requests, a third stayed.
pub fn share_freed_pages() {
    set_option(PAGE_MAX_RECLAIM, 0);
}

/// Gives back all free memory of this thread, whatever that costs, and what other threads have left behind.
pub(super) fn give_back_all() {
    collect(true);
}

/// Gives back what has been free for a second, in all threads. Cheap where nothing is: it may be called at any time.
pub fn give_back_memory() {
    collect(false);
}

#[expect(unsafe_code, reason = "the allocator has no safe interface")]
fn collect(is_forced: bool) {
    // SAFETY: it may be called by any thread at any time, and touches nothing that is in use.
    unsafe { libmimalloc_sys::mi_collect(is_forced) };
}

#[expect(unsafe_code, reason = "the allocator has no safe interface")]
fn set_option(option: c_int, value: c_long) {
    // SAFETY: it may be called by any thread at any time, and ignores numbers that are no options.
    unsafe { libmimalloc_sys::mi_option_set(option, value) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The defaults of the option and of its neighbours: no limit; 32 pages across threads; huge pages are allowed.
    #[test]
    #[expect(unsafe_code, reason = "the allocator has no safe interface")]
    fn the_option_has_its_number() {
        // SAFETY: it reads a number.
        let options =
            [0, 1, 2].map(|at| unsafe { libmimalloc_sys::mi_option_get(PAGE_MAX_RECLAIM + at) });
        assert_eq!(options, [-1, 32, 1]);
    }
}
