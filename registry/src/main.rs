//! The Document Registry: knows what has been shared, and answers questions about it.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    actor::main::<registry::Registry>()
}
