//! Gives memory that is free back to the system. Mimalloc does so by itself only while something allocates: what a burst
//! has taken stays with a process that has become idle, and so does the memory of a finished compilation.

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
