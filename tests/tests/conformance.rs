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

/// The tables of requirements.
const TABLES: [&str; 6] = ["mhd.tsv", "xds.tsv", "pixm.tsv", "pdqm.tsv", "pmir.tsv", "pix.tsv"];

/// Tests that a table names by `module::name` are there: a function of that name in a file or folder of that module.
#[test]
fn tests_named_by_requirements_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["tests", "identity-source", "registry", "repository", "shared", "consumer-cli"] {
        collect(&root.join("..").join(folder), &mut sources);
    }
    for table in TABLES {
        let text =
            std::fs::read_to_string(root.join("requirements").join(table)).expect("the table is there");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((_, tests)) = line.split_once("elsewhere: ") else { continue };
            for named in tests.split(", ").filter(|named| named.contains("::")) {
                let named = named.split(' ').next().unwrap_or(named);
                let (module, name) = named.rsplit_once("::").expect("there is a module");
                let module = module.rsplit("::").next().unwrap_or(module);
                let is_there = sources.iter().any(|(path, text)| {
                    let of_module = path
                        .iter()
                        .any(|part| part.to_str().is_some_and(|part| part.trim_end_matches(".rs") == module));
                    let inside = of_module || text.contains(&format!("mod {module} {{"));
                    inside && (name == "*" || text.contains(&format!("fn {name}(")))
                });
                assert!(is_there, "{table} names the test {named}, which is not there: {line}");
            }
        }
    }
}

/// Every source file below a folder, with its text.
fn collect(folder: &Path, sources: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            sources.push((path.clone(), std::fs::read_to_string(&path).expect("a source is text")));
        }
    }
}

#[test]
fn the_page_of_conformance_has_every_requirement() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../docs/conformance.md")).expect("the page is there");
    let read = |name: &str| {
        std::fs::read_to_string(root.join("requirements").join(name)).expect("the requirements are there")
    };
    let table: String = TABLES.iter().map(|name| read(name)).collect();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let row = line.split('\t').take(3).collect::<Vec<_>>().join(" | ");
        assert!(
            page.contains(&format!("| {row} |")),
            "docs/conformance.md lacks {row:?}: write it again (tests/README.md)"
        );
    }
}
