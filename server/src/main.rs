//! The `headwater` binary.

/// A stream is many small pieces that live for as long as it does, between those of requests that are gone: glibc's heap
/// keeps the holes. See docs/adr/0011-allocator.md for figures.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    headwater::cli::main()
}
