//! What can be searched for in values that XDS writes as one string: names, identifiers, organizations.

use super::{Cx, ENCOUNTER_ID, Xcn, Xon};
use crate::types::{Author, DocumentEntry, Identifier, Linked, Submission};

/// Fills what is derived in every object of a submission.
pub fn fill(submission: &mut Submission) {
    submission.documents.iter_mut().for_each(fill_document);
    submission.submission_set.authors.iter_mut().for_each(fill_author);
}

/// Fills what is derived in a document entry: authors, legalAuthenticator, referenceIdList, sourcePatientInfo, typeCode.
pub fn fill_document(entry: &mut DocumentEntry) {
    entry.authors.iter_mut().for_each(fill_author);
    if let Some(person) = &entry.legal_authenticator {
        let author = entry.authenticator.get_or_insert_with(Author::default);
        author.person.get_or_insert_with(|| person.clone());
        fill_author(author);
    }
    for text in &entry.reference_id_list {
        let Some(cx) = Cx::read(text) else { continue };
        let identifier = cx.identifier();
        if cx.type_code.as_deref() == Some(ENCOUNTER_ID) {
            let encounter = Linked { reference: None, identifier: Some(identifier.clone()) };
            let known = |linked: &Linked| linked.identifier.as_ref() == Some(&identifier);
            if !entry.encounters.iter().any(known) {
                entry.encounters.push(encounter);
            }
        }
        add(&mut entry.reference_ids, identifier);
    }
    if !entry.source_patient_info.is_empty() || !entry.source_patient_ids.is_empty() {
        entry.has_source_patient_info = true;
    }
    match (&entry.type_code, entry.type_codes.first()) {
        (Some(code), None) => entry.type_codes.push(code.clone()),
        (None, Some(code)) => entry.type_code = Some(code.clone()),
        _ => {}
    }
}

/// Fills the names, organizations and identifiers of an author.
pub fn fill_author(author: &mut Author) {
    if let Some(text) = &author.person {
        let person = Xcn::read(text);
        if text.contains('^') {
            add_text(&mut author.family, &person.family);
            person.given_names().for_each(|name| add_text(&mut author.given, name));
            for part in [&person.prefix, &person.suffix] {
                add_text(&mut author.names, part);
            }
            if let Some(identifier) = person.identifier() {
                add(&mut author.identifiers, identifier);
            }
        } else {
            // A name without structure, as the oldest messages have it.
            add_text(&mut author.names, &person.id);
        }
    }
    for text in &author.institutions {
        let institution = Xon::read(text);
        add_text(&mut author.institution, &institution.name);
        if let Some(identifier) = institution.identifier() {
            add(&mut author.identifiers, identifier);
        }
    }
}

fn add_text(texts: &mut Vec<String>, text: &str) {
    if !text.is_empty() && !texts.iter().any(|known| known == text) {
        texts.push(text.to_owned());
    }
}

fn add(identifiers: &mut Vec<Identifier>, identifier: Identifier) {
    if !identifiers.contains(&identifier) {
        identifiers.push(identifier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_found_by_the_parts_of_its_strings() {
        let mut author = Author {
            person: Some("7^Welby^Marcus^J.^^Dr.^^^&1.2&ISO".to_owned()),
            institutions: vec!["Some Hospital^^^^^^^^^1.2.3".to_owned()],
            ..Author::default()
        };
        fill_author(&mut author);
        fill_author(&mut author);
        assert_eq!(
            (author.family, author.given),
            (vec!["Welby".to_owned()], vec!["Marcus".to_owned(), "J.".to_owned()])
        );
        assert_eq!(
            (author.names, author.institution),
            (vec!["Dr.".to_owned()], vec!["Some Hospital".to_owned()])
        );
        assert_eq!(author.identifiers.len(), 2);
    }
}
