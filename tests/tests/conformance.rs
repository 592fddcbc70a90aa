//! The conformance run over a region of real binaries: the own cases always, the corpus where it lies.

use std::path::{Path, PathBuf};

use tests::conformance::{Options, Subject, Verdict, run};

/// `DOCSHARE_CORPUS`, or `shared/data` beside the workspace.
fn corpus() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    tests::corpus::folder(std::env::var_os("DOCSHARE_CORPUS").map(PathBuf::from), &workspace)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_region_conforms() {
    let subject = Subject::own("redb").expect("a region starts");
    let options = Options { data: corpus(), filter: String::new(), progress: true };
    if options.data.is_none() {
        println!("the foreign corpus is not here: only the own cases run");
    }
    let report = run(subject, &options).await.expect("the world can be prepared");
    println!("{}", report.summary());
    let failed: Vec<String> = report
        .lines
        .iter()
        .filter(|line| matches!(line.verdict, Verdict::Failed(_)))
        .map(ToString::to_string)
        .collect();
    assert!(failed.is_empty(), "{}\n{}", report.summary(), failed.join("\n"));
}

#[test]
fn the_page_of_conformance_has_every_requirement() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../docs/conformance.md")).expect("the page is there");
    let read = |name: &str| {
        std::fs::read_to_string(root.join("requirements").join(name)).expect("the requirements are there")
    };
    let table = read("mhd.tsv") + &read("xds.tsv");
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let row = line.split('\t').take(3).collect::<Vec<_>>().join(" | ");
        assert!(
            page.contains(&format!("| {row} |")),
            "docs/conformance.md lacks {row:?}: write it again (tests/README.md)"
        );
    }
}
