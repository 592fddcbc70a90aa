//! Many at the same thing at once.

use anyhow::{Result, ensure};

use super::Verdict;
use super::stage::{Stage, word};
use crate::faults::history::Told;
use crate::faults::load;

/// Sixteen sources replace one document: one of them does.
pub(super) fn replaces(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    for _ in 0..5 {
        let target = stage.document(1_000)?;
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let mut recipe = stage.recipe(&[1_000]);
                recipe.replaces = Some(target.clone());
                let (load, wire) = (stage.load.clone(), stage.wire.clone());
                stage.runtime.spawn(async move { load::send_once(&load, &wire, &recipe).await })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            match stage.runtime.block_on(task)?? {
                Told::Acknowledged { .. } => won += 1,
                Told::Refused { status: 400, .. } => {}
                other => anyhow::bail!("a replacement that lost comes to: {}", word(&other)),
            }
        }
        ensure!(won == 1, "{won} of 16 replacements of one document succeed");
    }
    stage.close()?;
    Ok(Verdict::Held("5 races of 16, one winner each".into()))
}

/// Sixteen requests with the same id and content: stored once, all answered the same.
pub(super) fn same_id(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    for sizes in [vec![1_000], vec![1_000, 2_000_000], vec![50_000, 3, 7]] {
        let recipe = stage.recipe(&sizes);
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (load, wire, recipe) = (stage.load.clone(), stage.wire.clone(), recipe.clone());
                stage.runtime.spawn(async move { load::send_once(&load, &wire, &recipe).await })
            })
            .collect();
        for task in tasks {
            let told = stage.runtime.block_on(task)??;
            ensure!(matches!(told, Told::Acknowledged { .. }), "one of them comes to: {}", word(&told));
        }
    }
    stage.close()?;
    Ok(Verdict::Held("3 submissions of 16 requests".into()))
}
