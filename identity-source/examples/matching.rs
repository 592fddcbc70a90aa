//! Measures how well patients are matched, and writes the tables of `docs/matching.md` behind its mark.
//!
//! `cargo run --release -p identity-source --example matching -- [RECORDS [QUESTIONS [FILE]]]`

#[path = "../tests/patients/measure.rs"]
mod measure;

/// What stands before the tables in the document.
const MARK: &str = "<!-- measured -->\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: usize| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (records, questions) = (number(20_000), number(6_000));
    let tables = measure::measure(records, questions, 20_261_121).await.tables();
    let Some(file) = std::env::args().nth(3) else {
        print!("{tables}");
        return Ok(());
    };
    let document = std::fs::read_to_string(&file)?;
    let Some((before, _)) = document.split_once(MARK) else {
        return Err(std::io::Error::other(format!("{file} has no line {MARK}")));
    };
    std::fs::write(&file, format!("{before}{MARK}\n{tables}"))
}
