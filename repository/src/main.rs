//! The Document Repository: keeps the bytes, and registers what they are.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    actor::main::<repository::Repository>()
}
