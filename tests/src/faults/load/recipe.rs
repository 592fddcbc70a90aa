//! A submission, as little as it takes to make it again with the same ids and the same bytes.

use serde_json::Value;
use testkit::{Document, Folder, Provide};

use super::Person;
use crate::faults::content::{Content, sha256};
use crate::faults::history::{Kind, Sent};
use crate::faults::resource::attributes;

/// What is submitted.
#[derive(Debug, Clone)]
pub(in crate::faults) struct Recipe {
    /// Every id follows from it and the seed of the run.
    pub(in crate::faults) number: u64,
    /// Other than 0: the same ids, other content.
    pub(in crate::faults) variant: u64,
    pub(in crate::faults) patient: Person,
    /// Sizes of the documents.
    pub(in crate::faults) sizes: Vec<usize>,
    /// Id of the document the first one replaces.
    pub(in crate::faults) replaces: Option<String>,
    /// Whether the documents lie in a folder.
    pub(in crate::faults) folder: bool,
}

/// A submission ready to be sent.
pub(super) struct Ready {
    pub(super) key: String,
    pub(super) content: String,
    pub(super) bundle: Value,
    /// What the history says of it.
    pub(super) objects: Vec<Sent>,
    /// Where in the answer each of the objects is.
    pub(super) places: Vec<usize>,
}

impl Recipe {
    /// Unique id of an object of the submission.
    pub(in crate::faults) fn unique_id(&self, seed: u64, object: u64) -> String {
        let high = u128::from(seed) << 64;
        format!("urn:oid:2.25.{}", high | u128::from(self.number << 8 | object))
    }

    fn content(&self, seed: u64, at: usize) -> Content {
        let salt = (self.number << 8 | at as u64).wrapping_mul(0x2545_F491_4F6C_DD1D);
        Content { seed: seed ^ salt ^ self.variant << 60, size: self.sizes[at] }
    }

    /// The bytes of its documents, by unique id.
    pub(super) fn contents(&self, seed: u64) -> Vec<(String, Content)> {
        (0..self.sizes.len())
            .map(|at| (self.unique_id(seed, at as u64 + 1), self.content(seed, at)))
            .collect()
    }

    /// The Bundle; its symbolic ids are fresh each time, as those of a source that makes it again.
    pub(super) fn ready(&self, seed: u64, identity: &str) -> Ready {
        let key = self.unique_id(seed, 0);
        let title = format!("submission {} as {}", self.number, self.variant);
        let mut documents = Vec::new();
        let mut objects = vec![sent(Kind::Set, &key, &[])];
        for (at, (unique_id, content)) in self.contents(seed).into_iter().enumerate() {
            let bytes = content.bytes();
            let title = format!("document {at} of {title}");
            let mut object = sent(Kind::Document, &unique_id, &bytes);
            let mut document = Document::new(bytes)
                .unique_id(&unique_id)
                .title(&title)
                .content_type("application/octet-stream");
            if let (0, Some(target)) = (at, &self.replaces) {
                document = document.relates_to("replaces", &format!("DocumentReference/{target}"));
                object.replaces = Some(target.clone());
            }
            documents.push(document);
            objects.push(object);
        }
        // The Bundle: the SubmissionSet, each document and its Binary, the folder, the patch.
        let mut places = vec![0];
        places.extend((0..documents.len()).map(|at| 1 + 2 * at));
        let members: Vec<String> = documents.iter().map(|document| document.url.clone()).collect();
        let mut provide = Provide::new(&self.patient.reference(identity)).unique_id(&key).title(&title);
        provide = provide.documents(documents);
        if self.folder {
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            let mut folder = Folder::new(&format!("folder of {title}"), &members);
            folder.unique_id = self.unique_id(seed, 255);
            objects.push(sent(Kind::Folder, &folder.unique_id, &[]));
            places.push(1 + 2 * members.len());
            provide = provide.folder(folder);
        }
        if let Some(target) = &self.replaces {
            provide = provide.superseding(target);
        }
        let content = format!("{}-{}", self.number, self.variant);
        let bundle = provide.bundle();
        for (object, place) in objects.iter_mut().zip(&places) {
            object.attributes = attributes(&bundle["entry"][*place]["resource"]);
        }
        Ready { key, content, bundle, objects, places }
    }
}

fn sent(kind: Kind, unique_id: &str, bytes: &[u8]) -> Sent {
    Sent {
        kind,
        unique_id: unique_id.to_owned(),
        attributes: String::new(),
        sha256: if kind == Kind::Document { sha256(bytes) } else { String::new() },
        size: bytes.len() as u64,
        replaces: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_made_again_has_the_same_ids_and_another_variant_other_bytes() {
        let patient = Person { id: "p".into(), value: "v".into() };
        let recipe =
            Recipe { number: 7, variant: 0, patient, sizes: vec![10, 20], replaces: None, folder: true };
        let (one, two) = (recipe.ready(1, "http://i/fhir"), recipe.ready(1, "http://i/fhir"));
        assert_eq!(one.objects, two.objects);
        assert_eq!(one.places, [0, 1, 3, 5]);
        for (object, place) in one.objects.iter().zip(&one.places) {
            let resource = &one.bundle["entry"][*place]["resource"];
            assert!(resource.to_string().contains(&object.unique_id), "{object:?} is not at {place}");
        }
        let other = Recipe { variant: 1, ..recipe }.ready(1, "http://i/fhir");
        assert_eq!(other.key, one.key);
        assert_ne!(other.objects[1].sha256, one.objects[1].sha256);
    }
}
