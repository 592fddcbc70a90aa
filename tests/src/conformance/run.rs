//! Running the cases one after the other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::world::World;
use super::{
    Case, Report, Skip, Subject, Verdict, asbestos, catalogue, foreign, hl7v2, hl7v3, ihe, manager, matching,
    openhie, own_cases, pixm, pmir, requirements, waiting, xds,
};
use crate::process;

/// No answer may take longer, unless the case says so itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Growth of resident memory no case may exceed, in KiB.
const MEMORY_GROWTH_KIB: u64 = 128 << 10;
/// No case may hang longer.
const CASE_WITHIN: Duration = Duration::from_secs(180);

/// What to run.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// Folder with the foreign corpus, the catalogue and the examples of the guides; without it only the own cases run.
    pub data: Option<PathBuf>,
    /// Only cases whose name begins like this.
    pub filter: String,
    /// Prints a line for each case as it ends.
    pub progress: bool,
}

/// Prepares the world and runs every case.
pub async fn run(subject: Subject, options: &Options) -> Result<Report> {
    let mut cases = own_cases();
    if let Some(data) = &options.data {
        ensure!(data.is_dir(), "{} is a folder", data.display());
        cases.extend(corpus_cases(data)?);
    }
    let mut report = Report::default();
    let mut toolkit = options.data.as_deref().map(xds::cases).transpose()?.unwrap_or_default();
    let waiting = waiting::rows().into_iter().map(|(id, _)| id);
    let known = cases.iter().chain(&toolkit).map(|case| case.id.clone()).chain(waiting).collect();
    cases.extend(requirements::cases(options.data.is_some().then_some(known)));
    toolkit.retain(|case| case.id.starts_with(&options.filter));
    // Somebody else's servers have the codes they have.
    let coded = match &options.data {
        Some(data) if subject.is_own() && !toolkit.is_empty() => Some(Subject::with_codes(data)?),
        _ => None,
    };
    let world = World::prepare(subject, options.data.clone()).await?;
    if coded.is_none() {
        cases.append(&mut toolkit);
    }
    run_in(&world, &cases, options, &mut report).await;
    if let Some(coded) = coded {
        let world = World::prepare(coded, options.data.clone()).await?;
        run_in(&world, &toolkit, options, &mut report).await;
    }
    for (id, why) in waiting::rows() {
        if id.starts_with(&options.filter) {
            let line = report.add(&id, Verdict::Skipped(why), Duration::ZERO);
            if options.progress {
                println!("{line}");
            }
        }
    }
    Ok(report)
}

async fn run_in(world: &World, cases: &[Case], options: &Options, report: &mut Report) {
    for case in cases.iter().filter(|case| case.id.starts_with(&options.filter)) {
        let begin = Instant::now();
        let verdict = judge(world, case).await;
        let line = report.add(&case.id, verdict, begin.elapsed());
        if options.progress {
            println!("{line}");
        }
    }
}

fn corpus_cases(data: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    cases.extend(catalogue::cases(data)?);
    cases.extend(asbestos::cases(data)?);
    cases.extend(ihe::cases(data)?);
    cases.extend(foreign::cases(data)?);
    cases.extend(hl7v2::corpus_cases(data)?);
    cases.extend(openhie::corpus_cases(data)?);
    cases.extend(hl7v3::corpus_cases(data));
    cases.extend(manager::corpus_cases(data));
    cases.extend(pixm::cases(data)?);
    cases.extend(pmir::corpus_cases(data)?);
    cases.extend(matching::examples(data));
    cases.extend(xds::open_cases(data)?);
    Ok(cases)
}

async fn judge(world: &World, case: &Case) -> Verdict {
    let before = process_ids_and_memory(world);
    let outcome = tokio::time::timeout(CASE_WITHIN, (case.check)(world)).await;
    let tolerated = world.wire.settle();
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(_) => Err(anyhow::anyhow!("the case did not end within {CASE_WITHIN:?}")),
    };
    if let Err(error) = &outcome
        && let Some(Skip(why)) = error.downcast_ref::<Skip>()
    {
        return Verdict::Skipped(why.clone());
    }
    let after = aftermath(world, &before).await;
    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(outcome.err().map(|error| format!("{error:#}")));
    wrong.extend(tolerated);
    wrong.extend(after.err().map(|error| format!("afterwards: {error:#}")));
    if wrong.is_empty() { Verdict::Passed } else { Verdict::Failed(wrong.join("; ")) }
}

fn process_ids_and_memory(world: &World) -> Vec<(u32, u64)> {
    let pids = world.subject.pids();
    pids.iter()
        .map(|(_, pid)| {
            process::forget_peak(*pid);
            (*pid, process::resident_kib(*pid).unwrap_or_default())
        })
        .collect()
}

/// What must hold after every case: the same processes, a healthy request served, memory not grown out of hand.
async fn aftermath(world: &World, before: &[(u32, u64)]) -> Result<()> {
    let dead = world.subject.dead();
    if !dead.is_empty() {
        bail!("actors have ended: {dead:?}");
    }
    let begin = Instant::now();
    world.healthy().await?;
    let took = begin.elapsed();
    ensure!(took < ANSWER_WITHIN, "a healthy request took {took:?}");
    if world.subject.bars() {
        ensure!(took < Duration::from_secs(1), "a healthy request took {took:?}");
        for (pid, resident) in before {
            let peak = process::peak_kib(*pid).unwrap_or_default();
            let grown = peak.saturating_sub(*resident);
            ensure!(grown < MEMORY_GROWTH_KIB, "resident memory grew by {grown} KiB");
        }
    }
    let wrong = world.wire.settle();
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}
