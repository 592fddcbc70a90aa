//! The Patient Identity Source: knows who is who.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    actor::main::<identity_source::IdentitySource>()
}
