//! The allocator of the process: mimalloc, which is faster than the system's in the many small
//! allocations of a request.
//!
//! `mimalloc::MiMalloc` names an alignment each time. Version 3 then seldom takes its short way: it
//! enlarges what is not a power of two, and remembers that the block may begin before its address.
//! What Rust asks for is nearly always aligned as `malloc` aligns everything, so that is asked.

use std::alloc::{GlobalAlloc, Layout};

use mimalloc::MiMalloc;

/// What every block of this size or more is aligned to.
const ALIGNED: usize = 16;

/// Mimalloc, as the global allocator of a program.
#[derive(Debug)]
pub struct Allocator;

/// Gives free memory back to the system. Mimalloc keeps what a compilation or a component took until
/// it is busy again, which may be never: tens of MiB, and more with every component.
#[expect(unsafe_code, reason = "the allocator has no safe interface")]
pub fn give_memory_back() {
    // SAFETY: it may be called by any thread at any time, and touches nothing that is in use.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Whether blocks of this size are aligned so without being asked to: those of 16 bytes and more to
/// 16, smaller ones to 8. An alignment that is no larger than the size is kept by both.
fn aligned_anyway(size: usize, align: usize) -> bool {
    align <= ALIGNED && align <= size
}

// SAFETY: all of it is mimalloc's, whose blocks can be freed and made larger by either interface.
#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if aligned_anyway(layout.size(), layout.align()) {
            // SAFETY: any size may be asked for.
            unsafe { libmimalloc_sys::mi_malloc(layout.size()).cast() }
        } else {
            // SAFETY: as for this function.
            unsafe { MiMalloc.alloc(layout) }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if aligned_anyway(layout.size(), layout.align()) {
            // SAFETY: any size may be asked for.
            unsafe { libmimalloc_sys::mi_zalloc(layout.size()).cast() }
        } else {
            // SAFETY: as for this function.
            unsafe { MiMalloc.alloc_zeroed(layout) }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as for this function.
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if aligned_anyway(size, layout.align()) {
            // SAFETY: the block is mimalloc's, and any size may be asked for.
            unsafe { libmimalloc_sys::mi_realloc(block.cast(), size).cast() }
        } else {
            // SAFETY: as for this function.
            unsafe { MiMalloc.realloc(block, layout, size) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way through the allocator, for sizes around those of its size classes.
    #[test]
    #[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
    fn blocks_are_aligned_and_keep_their_bytes() {
        let sizes = (1..=1_100).chain([4_000, 4_096, 70_001, 1 << 20]);
        for (size, align) in sizes.flat_map(|size| [1, 2, 8, 16, 32, 128].map(|it| (size, it))) {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the layout has a size, and no block is used after it is freed.
            unsafe {
                let zeroed = Allocator.alloc_zeroed(layout);
                assert_eq!((zeroed as usize % align, *zeroed.add(size - 1)), (0, 0), "{layout:?}");
                let block = Allocator.alloc(layout);
                assert_eq!(block as usize % align, 0, "{layout:?}");
                block.write_bytes(0x5a, size);
                let larger = Allocator.realloc(block, layout, size * 2 + 1);
                assert_eq!(larger as usize % align, 0, "{layout:?}");
                assert!((0..size).all(|index| *larger.add(index) == 0x5a), "{layout:?}");
                let layout = Layout::from_size_align(size * 2 + 1, align).unwrap();
                let smaller = Allocator.realloc(larger, layout, 1);
                assert_eq!((smaller as usize % align, *smaller), (0, 0x5a), "{layout:?}");
                Allocator.dealloc(smaller, Layout::from_size_align(1, align).unwrap());
                Allocator.dealloc(zeroed, Layout::from_size_align(size, align).unwrap());
            }
        }
    }
}
