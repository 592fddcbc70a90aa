//! What the operating system knows about this process, and which build it is.

use std::fmt::Write;

/// The commit this was built from, if the builder said.
pub(crate) const COMMIT: &str = match option_env!("DOCSHARE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Actor, version and commit as JSON.
pub(crate) fn version(actor: &str) -> serde_json::Value {
    serde_json::json!({
        "product": "docshare", "actor": actor, "version": env!("CARGO_PKG_VERSION"), "commit": COMMIT,
    })
}

/// The `process_…` metrics, as far as this system tells them.
pub(crate) fn metrics() -> String {
    let mut out = String::new();
    let mut line = |name: &str, sort: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = writeln!(out, "# TYPE {name} {sort}\n{name} {value}");
        }
    };
    line("process_resident_memory_bytes", "gauge", resident_bytes());
    line("process_cpu_seconds_total", "counter", cpu_seconds());
    line("process_open_fds", "gauge", open_files());
    line("process_start_time_seconds", "gauge", start_time());
    out
}

fn resident_bytes() -> Option<f64> {
    let pages: f64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as f64)
}

/// Fields of `/proc/self/stat` after the name, which may itself hold spaces.
fn stat(field: usize) -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(field)?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    Some((stat(11)? + stat(12)?) / rustix::param::clock_ticks_per_second() as f64)
}

fn open_files() -> Option<f64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn start_time() -> Option<f64> {
    let stat_of_all = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = stat_of_all.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    Some(boot + stat(19)? / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_system_tells_about_this_process() {
        let text = super::metrics();
        for name in [
            "process_resident_memory_bytes",
            "process_cpu_seconds_total",
            "process_open_fds",
            "process_start_time_seconds",
        ] {
            assert!(text.contains(&format!("\n{name} ")), "{name} is missing in {text}");
        }
    }
}
