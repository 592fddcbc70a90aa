//! A page for each code an outcome can carry: printed to `docs/errors`, and one by one by `docshare explain`.

use std::fmt::Write;

use xds::{Rule, Side};

use super::problem::{PROBLEMS, Problem};

/// The page of a code, in Markdown.
pub fn page(code: &str) -> Option<String> {
    let rule = Rule::ALL.iter().find(|rule| rule.row().code == code);
    rule.map(|rule| of_rule(*rule)).or_else(|| super::problem::problem(code).map(of_problem))
}

/// All codes, in the order of the documentation: rules of the framework first.
pub fn codes() -> impl Iterator<Item = &'static str> {
    Rule::ALL.iter().map(|rule| rule.row().code).chain(PROBLEMS.iter().map(|problem| problem.code))
}

fn of_rule(rule: Rule) -> String {
    let (row, page) = (rule.row(), rule.page());
    let mut out = format!("# {}\n\n{}\n\n", row.code, page.meaning);
    let _ = writeln!(out, "| | |\n|---|---|");
    let _ = writeln!(out, "| HTTP status | {}; 200 where it is a warning |", row.status);
    let _ = writeln!(out, "| `issue.code` | `{}` |", row.issue);
    let codes: Vec<String> = [Side::Registry, Side::Repository]
        .iter()
        .filter_map(|side| rule.xds_code(*side))
        .map(|code| format!("`{code}`"))
        .collect();
    let mut codes = codes;
    codes.dedup();
    if !codes.is_empty() {
        let _ = writeln!(out, "| XDS error code | {} |", codes.join(", at the repository "));
    }
    let _ = writeln!(out, "| where it is written | {} |", row.section);
    let _ = write!(
        out,
        "\n**Usual causes.** {}\n\n**What to do.** {}\n\n**Example.** {}\n",
        page.cause, page.mend, page.example
    );
    out
}

fn of_problem(problem: &Problem) -> String {
    format!(
        "# {}\n\n{}\n\n| | |\n|---|---|\n| HTTP status | {} |\n| `issue.code` | `{}` |\n\n**What to do.** {}\n",
        problem.code, problem.meaning, problem.status, problem.issue, problem.mend
    )
}

/// The page that lists all others.
pub fn index() -> String {
    let mut out = "# Errors\n\n\
        Every answer that is not a success is an OperationOutcome. Each of its issues says in `details.coding` the error code of\n\
        XDS where there is one, and a code of ours, which has a page here. `details.text` is the sentence to read first,\n\
        `expression` is the place in what was sent, and the `id` of the outcome is the request id to give to an operator.\n\n\
        These pages are printed by `docshare explain --write docs/errors`.\n\n"
        .to_owned();
    out.push_str("## Rules of document sharing\n\n| code | status | XDS | meaning |\n|---|---|---|---|\n");
    for rule in Rule::ALL {
        let row = rule.row();
        let xds = row.xds.map(|code| format!("`{code}`")).unwrap_or_default();
        let meaning = rule.page().meaning;
        let _ = writeln!(out, "| [{0}]({0}.md) | {1} | {xds} | {meaning} |", row.code, row.status);
    }
    out.push_str("\n## HTTP and the server\n\n| code | status | meaning |\n|---|---|---|\n");
    for problem in PROBLEMS {
        let _ = writeln!(out, "| [{0}]({0}.md) | {1} | {2} |", problem.code, problem.status, problem.meaning);
    }
    out
}
