//! HL7 v2 at the identity source: the cases of OpenHIE's client registry, step by step, and feeds and queries of others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::foreign::index;
use super::hl7v2::{Ack, DOMAIN, Line, fresh};
use super::world::World;
use super::{Case, make, skip};
use crate::region::Actor;

/// Authorities that say who feeds them, or whom nobody feeds, as the cases want them.
pub(super) const AUTHORITIES: &str = r#"[
    { namespace = "TEST_A", oid = "2.16.840.1.113883.3.72.5.9.2", senders = ["TEST_HARNESS_A|TEST"] },
    { namespace = "TEST_B", oid = "2.16.840.1.113883.3.72.5.9.3", senders = ["TEST_HARNESS_B|TEST"] },
    { namespace = "NID", oid = "2.16.840.1.113883.3.72.5.9.9", senders = ["NOBODY|"] },
]"#;

/// What the answer to a step must contain, and must not.
const CONTENT: &[(&str, &[&str], &[&str])] = &[
    ("05-30", &["QAK|Q0530|NF"], &["\rPID"]),
    ("07-30", &["QAK|Q0530|NF"], &["\rPID"]),
    ("07-40", &["QAK|Q0740|OK", "RJ-440^^^TEST&2.16.840.1.113883.3.72.5.9.1&ISO", "RJ-439^^^TEST"], &[]),
    ("09-10", &["ERR||QPD^1^3^1^1|204^", "QAK|Q0910|AE"], &["\rPID"]),
    ("09-20", &["ERR||QPD^1^3^1^4|204^", "QAK|Q0920|AE"], &["\rPID"]),
    ("09-40", &["QAK|Q0940|NF"], &["\rPID"]),
    ("11-20", &["QAK|Q1120|OK", "RJ-439^^^TEST", "JONES^JENNIFER"], &[]),
    ("11-30", &["QAK|Q1130|NF"], &["\rPID"]),
    ("11-40", &["QAK|Q1140|AE", "@PID.3.4.99"], &["\rPID"]),
    ("11-50", &["QAK|Q1150|OK", "RJ-439^^^TEST"], &[]),
    ("11-60", &["QAK|Q1160|NF"], &["\rPID"]),
    ("11-70", &["ERR||QPD^1^8^1|204^", "QAK|Q1170|AE"], &["\rPID"]),
    ("13-20", &["QAK|Q1320|OK", "RJ-440^^^TEST"], &[]),
    ("13-30", &["QAK|Q0740|OK", "RJ-440^^^TEST"], &[]),
    ("15-20", &["QAK|Q1520|OK", "RJ-439^^^TEST"], &[]),
    ("15-30", &["QAK|Q1530|OK", "RJ-439^^^TEST"], &[]),
    ("15-40", &["QAK|Q1540|OK", "RJ-439^^^TEST"], &[]),
    ("15-50", &["QAK|Q1550|NF"], &["\rPID"]),
    ("15-60", &["QAK|Q1560|NF"], &["\rPID"]),
];

/// What somebody else's message is answered with here.
const OTHERS: &[(&str, &[&str], &[&str])] = &[
    ("ipf-hl7/A01.hl7", &["AA"], &[]),
    ("ipf-hl7/A08.hl7", &["AA"], &[]),
    ("ipf-hl7/PIX_FEED_REG_Maximal_Request.hl7", &["AA"], &[]),
    ("ipf-hl7/iti8-a40.hl7", &["AA"], &[]),
    // PID-3 names nobody who assigned it.
    ("ipf-hl7/hl7v2message.hl7", &["AE"], &["101"]),
    // A notification of another manager, of a domain that is none of ours.
    ("ipf-hl7/adt-a31-1.hl7", &["AR"], &["204"]),
    // An answer, not a question.
    ("ipf-hl7/ok-1_Response.hl7", &["AR"], &["200"]),
    ("toolkit2-adt/A01.hl7", &["AA"], &[]),
    ("xds-registry-to-fhir/msg-01.hl7", &["AA"], &[]),
    ("v2-to-fhir/Message.hl7_MDM_T02.txt", &["AR"], &["200"]),
];

pub(super) fn corpus_cases(data: &Path) -> Result<Vec<Case>> {
    let mut steps: BTreeMap<String, Vec<Step>> = BTreeMap::new();
    for (file, expected) in index(data, "openhie-cr/HL7/")? {
        let name = file.rsplit('/').next().unwrap_or_default().trim_end_matches(".txt");
        let Some(number) = name.strip_prefix("OHIE-CR-") else { continue };
        let (case, _) = number.split_once('-').context("a step has a number")?;
        let codes = expected.split(|c: char| !c.is_ascii_uppercase());
        let mut codes: Vec<String> =
            codes.filter(|code| matches!(*code, "AA" | "AE" | "AR")).map(str::to_owned).collect();
        // Where the index says in words what is asked, it is asked soundly.
        if codes.is_empty() {
            codes.push("AA".to_owned());
        }
        let step = Step { number: number.to_owned(), path: data.join("corpus").join(&file), codes };
        steps.entry(case.to_owned()).or_default().push(step);
    }
    let mut cases = Vec::new();
    for (number, mut steps) in steps {
        steps.sort_by(|one, other| one.number.cmp(&other.number));
        cases.push(make(&format!("openhie-cr/HL7/{number}"), move |world| {
            let steps = steps.clone();
            Box::pin(async move { client_registry(world, &steps).await })
        }));
    }
    for (file, codes, errors) in OTHERS {
        let path = data.join("corpus").join(file);
        cases.push(make(&format!("iti8-manager/{file}"), move |world| {
            let path = path.clone();
            Box::pin(async move { of_others(world, &path, codes, errors).await })
        }));
    }
    Ok(cases)
}

/// A message of a case and the codes it may be answered with.
#[derive(Debug, Clone)]
struct Step {
    number: String,
    path: PathBuf,
    codes: Vec<String>,
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn client_registry(world: &World, steps: &[Step]) -> Result<()> {
    let mut line = Line::open_at(world, Actor::Identity).await?;
    // Every run of a case has patients of its own.
    let mark = fresh("P");
    for step in steps {
        let own =
            |text: &str| text.replace("RJ-", &format!("RJ-{mark}-")).replace("SJ-", &format!("SJ-{mark}-"));
        let ack = line.ask(&own(&read(&step.path)?)).await?;
        let codes: Vec<&str> = step.codes.iter().map(String::as_str).collect();
        ack.is(&codes, &[]).with_context(|| step.number.clone())?;
        holds(&ack, step, own)?;
    }
    Ok(())
}

fn holds(ack: &Ack, step: &Step, own: impl Fn(&str) -> String) -> Result<()> {
    let Some((_, must, must_not)) = CONTENT.iter().find(|(number, ..)| *number == step.number) else {
        return Ok(());
    };
    for wanted in *must {
        ensure!(ack.text.contains(&own(wanted)), "{}: {wanted:?} is in {:?}", step.number, ack.text);
    }
    for unwanted in *must_not {
        ensure!(!ack.text.contains(&own(unwanted)), "{}: {unwanted:?} is not in {:?}", step.number, ack.text);
    }
    Ok(())
}

async fn of_others(world: &World, path: &Path, codes: &[&str], errors: &[&str]) -> Result<()> {
    if !path.exists() {
        return Err(skip("the file is not there"));
    }
    let id = fresh("corpus");
    let cx = format!("{id}^^^&{DOMAIN}&ISO");
    let text = read(path)?.replace("$PATIENTID", &id).replace("$MPI-OID", DOMAIN).replace("$pid$", &cx);
    let mut line = Line::open_at(world, Actor::Identity).await?;
    if path.ends_with("iti8-a40.hl7") {
        // Both have to be known before they can be one.
        for number in ["7200117317", "7200117359"] {
            let known =
                format!("MSH|^~\\&|A|B|C|D|20260101||ADT^A01|{number}|P|2.3.1\rPID|||{number}^^^BBB\r");
            line.ask(&known).await?;
        }
    }
    line.ask(&text).await?.is(codes, errors)
}
