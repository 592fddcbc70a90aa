//! Patient demographics as PDQm has them [ITI-78]: the cases of its response (2:3.78.4.2), its parameters, and reading.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{World, encode, text};
use super::{Case, case, skip};
use crate::answer::Answer;
use crate::region::Actor;

/// A second domain, in which some patients have another identifier.
const OTHER: &str = "urn:oid:2.25.161803398874989484820458683436563811772";

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("pdqm/case-1-matches", matches_are_counted),
        case!("pdqm/case-2-domains", other_identifiers_are_left_out),
        case!("pdqm/case-3-nobody", nobody_is_an_answer),
        case!("pdqm/case-4-unknown-domain", unknown_domain),
        case!("pdqm/case-5-format", impossible_format),
        case!("pdqm/case-6-deprecated", deprecated_patients),
        case!("pdqm/parameters", every_parameter_finds_and_excludes),
        case!("pdqm/exact", exact_is_exact),
        case!("pdqm/and-or", conditions_together_and_instead),
        case!("pdqm/identifier-spellings", identifiers_in_every_spelling),
        case!("pdqm/post", post_finds_what_get_finds),
        case!("pdqm/paging", pages_stay_as_they_were),
        case!("pdqm/count", only_the_number),
        case!("pdqm/sort", sorted_by_several),
        case!("pdqm/parts", parts_of_patients),
        case!("pdqm/unknown-parameter", unknown_parameters),
        case!("pdqm/values", impossible_values),
        case!("pdqm/xml", in_xml),
        case!("pdqm/read", one_is_read),
        case!("pdqm/removed", removed_patients_are_gone),
        case!("pdqm/reverse-chain", reverse_chains_have_a_hint),
        case!("pdqm/habits", habits_of_other_systems),
    ]
}

/// Somebody with a name nobody else has.
struct Somebody {
    id: String,
    family: String,
    system: String,
    value: String,
    resource: Value,
}

fn unique() -> String {
    let letters = Uuid::new_v4().simple().to_string();
    letters
        .chars()
        .map(|digit| char::from(b'a' + u8::try_from(digit.to_digit(16).unwrap_or(0)).unwrap_or(0)))
        .collect()
}

/// Feeds a person of this family, changed a little.
async fn fed(world: &World, family: &str, change: impl FnOnce(&mut Value)) -> Result<Somebody> {
    let value = format!("pdqm-{}", Uuid::new_v4());
    let mut resource = testkit::patient(&world.p1.system, &value, family, "Zoë");
    resource["name"][0]["given"] = json!(["Zoë", "Power"]);
    change(&mut resource);
    let person = world.fed(&resource).await?;
    Ok(Somebody {
        id: person.id,
        family: family.to_owned(),
        system: world.p1.system.clone(),
        value,
        resource,
    })
}

async fn somebody(world: &World) -> Result<Somebody> {
    let number = Uuid::new_v4().as_u128() % 10_000_000;
    fed(world, &format!("Müller{}", unique()), |resource| {
        resource["identifier"] = json!([
            resource["identifier"][0],
            { "system": OTHER, "value": format!("other-{}", Uuid::new_v4()) }
        ]);
        resource["birthDate"] = json!("1961-07-13");
        resource["telecom"] = json!([
            { "system": "phone", "value": format!("+43 1 {number:07}") },
            { "system": "email", "value": format!("Zoe{number}@Example.org") }
        ]);
        resource["address"] = json!([{
            "line": ["820 Jorie Blvd."], "city": "Saint-Étienne", "state": "Loire", "postalCode": "42000", "country": "FR"
        }]);
        resource["extension"] = json!([{
            "url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "Pérez"
        }]);
    })
    .await
}

impl Somebody {
    fn token(&self) -> String {
        encode(&format!("{}|{}", self.system, self.value))
    }
    fn named(&self) -> String {
        format!("family={}", encode(&self.family))
    }
}

async fn ask(world: &World, query: &str) -> Result<Answer> {
    world.wire.get(&world.url(Actor::Identity, query)).await
}

fn ids(answer: &Answer) -> Result<Vec<String>> {
    Ok(answer.matches()?.iter().map(|resource| text(&resource["id"])).collect())
}

/// Whether a search finds exactly these, in whatever order.
async fn finds(world: &World, query: &str, whom: &[&Somebody]) -> Result<()> {
    let mut found = ids(&ask(world, &format!("Patient?{query}")).await?).with_context(|| query.to_owned())?;
    let mut expected: Vec<&str> = whom.iter().map(|one| one.id.as_str()).collect();
    found.sort();
    expected.sort_unstable();
    ensure!(found == expected, "{query} finds {found:?}, expected {expected:?}");
    Ok(())
}

async fn matches_are_counted(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let other = fed(world, &one.family, |_| {}).await?;
    let answer = ask(world, &format!("Patient?{}", one.named())).await?;
    let bundle = answer.expect(200)?;
    ensure!(bundle["type"] == "searchset" && bundle["total"] == 2, "two are counted: {}", answer.excerpt());
    let entries = bundle["entry"].as_array().context("there are entries")?;
    for entry in entries {
        let url = text(&entry["fullUrl"]);
        let id = text(&entry["resource"]["id"]);
        ensure!(
            url == world.url(Actor::Identity, &format!("Patient/{id}")),
            "fullUrl is where it is read: {url}"
        );
        ensure!(entry["search"]["mode"] == "match", "a match says so");
    }
    let own = answer.link("self")?.context("there is a self link")?;
    ensure!(own.contains("family="), "self says what was asked: {own}");
    finds(world, &one.named(), &[&one, &other]).await
}

async fn other_identifiers_are_left_out(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let lone = fed(world, &one.family, |_| {}).await?;
    let of = |domains: &str| format!("{}&identifier={}", one.named(), encode(domains));
    finds(world, &of(&format!("{OTHER}|")), &[&one]).await?;
    let shown = ask(world, &format!("Patient?{}", of(&format!("{OTHER}|")))).await?.matches()?;
    let systems = |patient: &Value| -> Vec<String> {
        patient["identifier"].as_array().into_iter().flatten().map(|one| text(&one["system"])).collect()
    };
    ensure!(systems(&shown[0]) == [OTHER], "identifiers of other domains are left out: {}", shown[0]);
    ensure!(shown[0]["name"] == one.resource["name"], "all else is there");
    finds(world, &of(&format!("{OTHER}|,{}|", one.system)), &[&one, &lone]).await?;
    // The domain may be written as the plain OID it is.
    finds(world, &of(&format!("{}|", OTHER.trim_start_matches("urn:oid:"))), &[&one]).await
}

async fn nobody_is_an_answer(world: &World) -> Result<()> {
    let answer = ask(world, &format!("Patient?family=nobody{}", unique())).await?;
    let bundle = answer.expect(200)?;
    ensure!(bundle["total"] == 0 && bundle.get("entry").is_none(), "nobody: {}", answer.excerpt());
    let unknown = format!("Patient?identifier=urn:oid:2.999.1.2.3%7C{}", unique());
    ensure!(ask(world, &unknown).await?.matches()?.is_empty(), "an identifier nobody has finds nobody");
    Ok(())
}

async fn unknown_domain(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let answer =
        ask(world, &format!("Patient?{}&identifier={}%7C,urn:oid:2.999.77.1%7C", one.named(), OTHER)).await?;
    ensure!(answer.status == 404, "answered {}: {}", answer.status, answer.excerpt());
    let issue = &answer.json()?["issue"][0];
    ensure!(
        issue["severity"] == "warning" && issue["code"] == "not-found",
        "a warning not-found: {}",
        answer.excerpt()
    );
    ensure!(
        text(&issue["diagnostics"]).contains("targetSystem not found"),
        "in the words of 2:3.78.4.1.3: {issue}"
    );
    Ok(())
}

async fn impossible_format(world: &World) -> Result<()> {
    for path in ["Patient?family=x", &format!("Patient/{}", world.p1.id)] {
        let url = world.url(Actor::Identity, path);
        let answer = world
            .wire
            .send(world.wire.request(Method::GET, &url).header("Accept", "application/pdf"))
            .await?;
        answer.refused(&[406], &["not-supported"]).with_context(|| path.to_owned())?;
    }
    let asked = format!("Patient?family=x&_format={}", encode("text/turtle"));
    ask(world, &asked).await?.refused(&[406], &["not-supported"]).map(drop)
}

/// Policy (a): a merged patient is shown with `active` false and its link; the survivor if it matches too.
async fn deprecated_patients(world: &World) -> Result<()> {
    let survivor = somebody(world).await?;
    let gone = fed(world, &survivor.family, |_| {}).await?;
    let merge = testkit::merged_patient(&gone.system, &gone.value, &survivor.system, &survivor.value);
    let path = format!("Patient?identifier={}", gone.token());
    world.wire.put(&world.url(Actor::Identity, &path), &merge).await?.expect(200)?;
    let shown = ask(world, &format!("Patient?identifier={}", gone.token())).await?.matches()?;
    if let Some(patient) = shown.first().filter(|patient| text(&patient["id"]) == gone.id) {
        ensure!(patient["active"] == false, "it is out of use: {patient}");
        let link = &patient["link"][0];
        ensure!(link["type"] == "replaced-by", "its survivor is named: {patient}");
    }
    let active = ask(world, &format!("Patient?_id={},{}&active=true", gone.id, survivor.id)).await?;
    ensure!(ids(&active)? == [survivor.id.as_str()], "only the survivor is in use");
    Ok(())
}

/// Each line: a condition that somebody fulfils, and one that they do not.
async fn every_parameter_finds_and_excludes(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let phone = text(&one.resource["telecom"][0]["value"]);
    let mail = text(&one.resource["telecom"][1]["value"]);
    let table: Vec<(String, String)> = vec![
        (format!("_id={}", one.id), "_id=nobody-at-all".into()),
        ("_lastUpdated=ge2020-01-01".into(), "_lastUpdated=lt2020-01-01".into()),
        (format!("identifier={}", one.token()), format!("identifier={}", world.p2.token())),
        (format!("identifier={}", encode(&one.value)), "identifier=nothing".into()),
        ("active=true".into(), "active=false".into()),
        ("name=POWER".into(), "name=ower".into()),
        ("given=zoe".into(), "given=zo%C3%AB1".into()),
        ("given:contains=owe".into(), "given:contains=x".into()),
        ("gender=female".into(), "gender=male".into()),
        ("gender:not=male".into(), "gender:not=female".into()),
        ("birthdate=1961-07-13".into(), "birthdate=1961-07-14".into()),
        ("birthdate=1961".into(), "birthdate=1962".into()),
        ("birthdate=ge1961-07&birthdate=lt1961-08".into(), "birthdate=gt1961-07-13".into()),
        ("birthdate=sa1961-07-12".into(), "birthdate=eb1961-07-13".into()),
        ("birthdate=ne1961-07-12".into(), "birthdate=ne1961-07-13".into()),
        ("birthdate:missing=false".into(), "birthdate:missing=true".into()),
        (format!("telecom={}", encode(&phone)), "telecom=0".into()),
        (
            format!("telecom={}", encode(&format!("email|{}", mail.to_lowercase()))),
            format!("telecom={}", encode(&format!("phone|{mail}"))),
        ),
        ("address=820%20jorie".into(), "address=821".into()),
        ("address=saint".into(), "address=graz".into()),
        ("address-city=saint-etienne".into(), "address-city=etienne".into()),
        ("address-state=loire".into(), "address-state=rhone".into()),
        ("address-postalcode=42".into(), "address-postalcode=69".into()),
        ("address-country=FR".into(), "address-country=AT".into()),
        ("mothersMaidenName=perez".into(), "mothersMaidenName=lopez".into()),
    ];
    for (yes, no) in &table {
        finds(world, &format!("{}&{yes}", one.named()), &[&one]).await?;
        finds(world, &format!("{}&{no}", one.named()), &[]).await?;
    }
    Ok(())
}

async fn exact_is_exact(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    for (parameter, exactly, [other_case, other_accent]) in [
        ("family", one.family.clone(), [one.family.to_uppercase(), one.family.replace('ü', "u")]),
        ("given", "Zoë".into(), ["zoë".into(), "Zoe".into()]),
        ("address", "820 Jorie Blvd.".into(), ["820 jorie blvd.".into(), "820 Jorie Blvd".into()]),
        ("address-city", "Saint-Étienne".into(), ["saint-étienne".into(), "Saint-Etienne".into()]),
        ("address-state", "Loire".into(), ["LOIRE".into(), "Loir".into()]),
        ("address-postalcode", "42000".into(), ["4200".into(), "42000 ".into()]),
        ("address-country", "FR".into(), ["fr".into(), "F".into()]),
        ("mothersMaidenName", "Pérez".into(), ["pérez".into(), "Perez".into()]),
        ("name", "Zoë".into(), ["zoë".into(), "Zoe".into()]),
    ] {
        let query = |value: &str| format!("{}&{parameter}:exact={}", one.named(), encode(value));
        finds(world, &query(&exactly), &[&one]).await?;
        for no in [other_case, other_accent] {
            finds(world, &query(&no), &[]).await?;
        }
    }
    Ok(())
}

async fn conditions_together_and_instead(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let other = fed(world, &one.family, |resource| {
        resource["gender"] = json!("male");
        resource["birthDate"] = json!("1999-12-31");
    })
    .await?;
    let named = one.named();
    finds(world, &format!("{named}&gender=female"), &[&one]).await?;
    finds(world, &format!("{named}&gender=male"), &[&other]).await?;
    finds(world, &format!("birthdate=1999-12-31&{named}"), &[&other]).await?;
    finds(world, &format!("{named}&gender=female,male"), &[&one, &other]).await?;
    finds(world, &format!("{named}&gender=female&gender=male"), &[]).await?;
    finds(world, &format!("{named}&birthdate=1961,1999"), &[&one, &other]).await?;
    finds(world, &format!("{named}&given=zoe&given=power"), &[&one, &other]).await?;
    finds(
        world,
        &format!("{named},nobody-else&identifier={},{}", one.token(), other.token()),
        &[&one, &other],
    )
    .await?;
    finds(world, &format!("{named}&identifier={}&active=true", other.token()), &[&other]).await
}

async fn identifiers_in_every_spelling(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let oid = one.system.trim_start_matches("urn:oid:").to_owned();
    for system in [one.system.clone(), oid] {
        finds(world, &format!("identifier={}", encode(&format!("{system}|{}", one.value))), &[&one]).await?;
    }
    finds(world, &format!("identifier={}|{}", one.system, one.value), &[&one]).await?;
    finds(world, &format!("identifier={}", one.value), &[&one]).await?;
    finds(world, &format!("identifier=%7C{}", one.value), &[]).await?;
    finds(
        world,
        &format!("identifier={}", encode(&format!("{}|{}", one.system, one.value.to_uppercase()))),
        &[],
    )
    .await
}

async fn post_finds_what_get_finds(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let post = async |target: &str, form: &[(&str, &str)]| -> Result<Vec<String>> {
        let url = world.url(Actor::Identity, target);
        ids(&world.wire.send(world.wire.request(Method::POST, &url).form(form)).await?)
    };
    let form = [("family", one.family.as_str()), ("birthdate", "1961-07-13")];
    ensure!(post("Patient/_search", &form).await? == [one.id.as_str()], "POST finds");
    ensure!(post("Patient/_search?gender=female", &form).await? == [one.id.as_str()], "the URL counts too");
    ensure!(post("Patient/_search?gender=male", &form).await?.is_empty(), "both together");
    Ok(())
}

/// Pages are links; what comes or goes while they are read changes none of them.
async fn pages_stay_as_they_were(world: &World) -> Result<()> {
    let family = format!("Page{}", unique());
    let mut expected = Vec::new();
    for number in 0..7 {
        let given = format!("g{number}");
        expected.push(fed(world, &family, |patient| patient["name"][0]["given"] = json!([given])).await?.id);
    }
    let (mut seen, mut pages) = (Vec::new(), 0);
    let mut next = Some(world.url(Actor::Identity, &format!("Patient?family={family}&_count=3&_sort=given")));
    while let Some(url) = next {
        let page = world.wire.get(&url).await?;
        ensure!(page.expect(200)?["total"] == 7, "every page tells the total: {}", page.excerpt());
        seen.extend(ids(&page)?);
        next = page.link("next")?;
        pages += 1;
        ensure!(pages < 10, "the pages end");
        fed(world, &family, |patient| patient["name"][0]["given"] = json!(["g1b"])).await?;
    }
    ensure!(pages == 3, "seven are three pages of three, got {pages}");
    ensure!(seen == expected, "the pages hold everybody once, in order");
    Ok(())
}

async fn only_the_number(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    for query in ["_summary=count", "_count=0"] {
        let bundle = ask(world, &format!("Patient?{}&{query}", one.named())).await?.expect(200)?;
        ensure!(bundle["total"] == 1 && bundle.get("entry").is_none(), "{query} counts: {bundle}");
    }
    for query in ["gender=female", "active=true", ""] {
        let bundle = ask(world, &format!("Patient?{query}&_count=1")).await?.expect(200)?;
        ensure!(bundle["total"].as_u64().is_some_and(|total| total > 1), "{query} is counted: {bundle}");
    }
    Ok(())
}

async fn sorted_by_several(world: &World) -> Result<()> {
    let family = format!("Sort{}", unique());
    let mut people = Vec::new();
    for (given, born) in [("B", "1970-01-01"), ("A", "1980-01-01"), ("A", "1990-01-01")] {
        let change = |patient: &mut Value| {
            patient["name"][0]["given"] = json!([given]);
            patient["birthDate"] = json!(born);
        };
        people.push(fed(world, &family, change).await?.id);
    }
    for (sort, order) in
        [("given,-birthdate", [2, 1, 0]), ("-birthdate", [2, 1, 0]), ("-given,birthdate", [0, 1, 2])]
    {
        let found = ids(&ask(world, &format!("Patient?family={family}&_sort={sort}")).await?)?;
        let expected: Vec<&String> = order.iter().map(|at| &people[*at]).collect();
        ensure!(found.iter().eq(expected), "_sort={sort}");
    }
    Ok(())
}

async fn parts_of_patients(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let part = async |query: &str| -> Result<Value> {
        let found = ask(world, &format!("Patient?{}&{query}", one.named())).await?.matches()?;
        found.into_iter().next().context("somebody is found")
    };
    let shown = part("_elements=gender,Patient.birthDate").await?;
    ensure!(shown["gender"] == "female" && shown["birthDate"] == "1961-07-13", "what was asked for: {shown}");
    ensure!(shown.get("address").is_none(), "nothing else: {shown}");
    ensure!(shown["meta"]["tag"].to_string().contains("SUBSETTED"), "it says that it is a part: {shown}");
    let summary = part("_summary=true").await?;
    ensure!(summary.get("name").is_some() && summary.get("extension").is_none(), "the summary: {summary}");
    Ok(())
}

async fn unknown_parameters(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let query = format!("Patient?{}&shoe-size=44", one.named());
    let answer = ask(world, &query).await?;
    ensure!(ids(&answer)? == [one.id.as_str()], "what is known counts");
    let own = answer.link("self")?.context("there is a self link")?;
    ensure!(!own.contains("shoe-size") && own.contains("family"), "self says what was honoured: {own}");
    let url = world.url(Actor::Identity, &query);
    let strictly = world.wire.request(Method::GET, &url).header("Prefer", "handling=strict");
    world.wire.send(strictly).await?.refused(&[400], &["not-supported", "invalid"]).map(drop)
}

async fn impossible_values(world: &World) -> Result<()> {
    for query in ["birthdate=2021-02-30", "gender=femal", "active=perhaps", "family:phonetic=x", "_count=-1"]
    {
        ask(world, &format!("Patient?{query}"))
            .await?
            .refused(&[400], &["value", "invalid", "not-supported"])
            .with_context(|| query.to_owned())?;
    }
    Ok(())
}

async fn in_xml(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    for path in [format!("Patient?{}", one.named()), format!("Patient/{}", one.id)] {
        let url = world.url(Actor::Identity, &path);
        let request = world.wire.request(Method::GET, &url).header("Accept", crate::wire::FHIR_XML);
        let answer = world.wire.send(request).await?;
        ensure!(answer.status == 200, "answered {}", answer.status);
        ensure!(
            answer.header("Content-Type").is_some_and(|kind| kind.starts_with(crate::wire::FHIR_XML)),
            "in XML"
        );
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(body.contains("http://hl7.org/fhir") && body.contains(&one.family), "{}", answer.excerpt());
        let formatted = format!("{url}{}_format=xml", if path.contains('?') { '&' } else { '?' });
        ensure!(world.wire.get(&formatted).await?.body.starts_with(b"<"), "_format asks for it too");
    }
    Ok(())
}

async fn one_is_read(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let read = ask(world, &format!("Patient/{}", one.id)).await?.expect(200)?;
    ensure!(read["name"] == one.resource["name"] && read["id"] == one.id.as_str(), "as it was fed: {read}");
    ask(world, &format!("Patient/{}", Uuid::new_v4())).await?.refused(&[404], &["not-found"]).map(drop)
}

async fn removed_patients_are_gone(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let url = world.url(Actor::Identity, &format!("Patient?identifier={}", one.token()));
    let removed = world.wire.send(world.wire.request(Method::DELETE, &url)).await?;
    if [403, 405].contains(&removed.status) {
        return Err(skip("patients of this domain cannot be removed"));
    }
    ensure!([200, 204].contains(&removed.status), "removing answers {}", removed.status);
    for query in [one.named(), format!("identifier={}", one.token()), format!("_id={}", one.id)] {
        finds(world, &query, &[]).await?;
    }
    ask(world, &format!("Patient/{}", one.id))
        .await?
        .refused(&[410, 404], &["deleted", "not-found"])
        .map(drop)
}

/// Nothing but who a patient is can be asked here, and nothing else may show in the answer.
async fn reverse_chains_have_a_hint(world: &World) -> Result<()> {
    for (query, hint) in [
        ("_has:Observation:patient:code=1234-5", "DocumentReference"),
        ("_has:DocumentReference:patient:type=http://loinc.org%7C75622-1", "DocumentReference"),
    ] {
        let answer = ask(world, &format!("Patient?{query}")).await?;
        answer.refused(&[400, 403], &["not-supported"])?;
        let words = answer.json()?["issue"][0].to_string();
        ensure!(words.contains(hint) && words.contains("_has"), "the answer says where to ask: {words}");
    }
    Ok(())
}

/// What clients of other servers send out of habit.
async fn habits_of_other_systems(world: &World) -> Result<()> {
    let one = somebody(world).await?;
    let named = one.named();
    finds(world, &format!("{named}&name=power&gender=female"), &[&one]).await?;
    finds(world, &format!("name={}%20power", encode(&one.family)), &[&one]).await?;
    finds(world, &format!("identifier={}", one.value), &[&one]).await?;
    let phone = text(&one.resource["telecom"][0]["value"]);
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    for phone in [encode(&phone), digits, phone.replace(' ', "+").replace("++", "+")] {
        finds(world, &format!("{named}&phone={phone}"), &[&one]).await?;
    }
    let mail = text(&one.resource["telecom"][1]["value"]).to_lowercase();
    finds(world, &format!("email={}", encode(&mail)), &[&one]).await?;
    for unknown in ["death-date=2020", "organization=1", "general-practitioner=2"] {
        let answer = ask(world, &format!("Patient?{named}&{unknown}")).await?;
        let bundle = answer.expect(200)?;
        let told = bundle["entry"].to_string();
        let name = unknown.split('=').next().unwrap_or_default();
        ensure!(told.contains("warning") && told.contains(name), "{unknown} is told: {}", answer.excerpt());
    }
    Ok(())
}
