//! What `std` would bring, and all of it that this guest needs: an allocator, the hook by which the host allocates what
//! it passes in, and an end for panics.
//!
//! Without `std`, nothing opens standard streams, asks for terminals or reads a clock: the component imports only the
//! interfaces that it uses, and a fresh sandbox has fewer functions to link.

use alloc::alloc::{alloc, handle_alloc_error, realloc};
use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::unreachable;

// The compiler may also call `memcmp` and its like from here.
#[link(name = "c")]
unsafe extern "C" {
    fn malloc(size: usize) -> *mut u8;
    fn aligned_alloc(align: usize, size: usize) -> *mut u8;
    fn free(old: *mut u8);
    #[link_name = "realloc"]
    fn resize(old: *mut u8, size: usize) -> *mut u8;
}

/// The C library's allocator, which `std` would use too. It starts with what is left of the memory's last page, where an
/// allocator written in Rust would have to grow the memory first.
struct CLibrary;

#[global_allocator]
static ALLOCATOR: CLibrary = CLibrary;

/// What `malloc` and `realloc` align to on wasm32, by the C standard's `max_align_t`.
const MALLOC_ALIGN: usize = 16;

// SAFETY: these are the C library's own promises, kept apart by alignment: `aligned_alloc` where `malloc` aligns to less.
unsafe impl GlobalAlloc for CLibrary {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: `layout` has a size above 0, as the trait demands of its callers.
        unsafe {
            if layout.align() <= MALLOC_ALIGN {
                malloc(layout.size())
            } else {
                aligned_alloc(layout.align(), layout.size().next_multiple_of(layout.align()))
            }
        }
    }

    unsafe fn dealloc(&self, old: *mut u8, _: Layout) {
        // SAFETY: `old` comes from `alloc` or `realloc` here.
        unsafe { free(old) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: `old` comes from `alloc` or `realloc` here, and C keeps this alignment.
            return unsafe { resize(old, size) };
        }
        // SAFETY: the caller promises that `size` is valid for this alignment; both blocks hold what is copied.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                old.copy_to_nonoverlapping(new, layout.size().min(size));
                self.dealloc(old, layout);
            }
            new
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unreachable()
}

/// The canonical ABI's `realloc`: <https://component-model.bytecodealliance.org/advanced/canonical-abi.html>.
///
/// # Safety
///
/// Called by the host only, with an `old` that it got from here or a null one of length 0, and an `align` that is a
/// power of two.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, new_len: usize) -> *mut u8 {
    if new_len == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    let Ok(layout) = Layout::from_size_align(new_len, align) else { unreachable() };
    // SAFETY: `new_len` is not 0, and where `old` is not empty it was allocated below with this alignment.
    let new = unsafe {
        match Layout::from_size_align(old_len, align) {
            Ok(before) if old_len != 0 => realloc(old, before, new_len),
            _ => alloc(layout),
        }
    };
    if new.is_null() { handle_alloc_error(layout) } else { new }
}
