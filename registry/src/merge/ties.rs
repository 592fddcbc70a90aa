//! What is tied to an object by an association that stands: such objects have one patient (TF-3 4.2.2), so they move together.
//! The membership in a submission set is none of these: a set records a submission, as it was made.

use std::collections::HashSet;

use store::Store;

use crate::records::association::{self, Object};
use crate::records::{DOCUMENT, HAS_MEMBER, Held, LIST, RELATION_EDGES};

/// A document or folder, by what it is and its id.
pub(crate) type Tie = (Held, String);

/// The documents and folders that an object is tied to, either way.
pub(crate) fn tied(store: &Store, object: &Object) -> Result<Vec<Tie>, store::Error> {
    let mut ties = HashSet::new();
    match object {
        Object::Document(row, record) => {
            for relation in record.relations.iter().filter(|relation| !relation.tie.deprecated) {
                ties.insert((Held::Document, relation.target.object.as_str().to_owned()));
            }
            for edge in RELATION_EDGES {
                for source in store.sources(DOCUMENT, edge, &row.id)? {
                    let other = association::row_of(store, DOCUMENT, &source)?;
                    if let Some(Object::Document(_, other)) = other
                        && other
                            .relations
                            .iter()
                            .any(|one| !one.tie.deprecated && one.target.object.as_str() == row.id)
                    {
                        ties.insert((Held::Document, source));
                    }
                }
            }
            for source in store.sources(LIST, HAS_MEMBER, &row.id)? {
                if let Some(Object::Folder(_, folder)) = association::row_of(store, LIST, &source)?
                    && folder.shown_members().iter().any(|member| member.as_str() == row.id)
                {
                    ties.insert((Held::List, source));
                }
            }
        }
        Object::Folder(_, record) => {
            ties.extend(
                record.shown_members().into_iter().map(|id| (Held::Document, id.as_str().to_owned())),
            );
        }
        Object::Set(..) => {}
    }
    let mut ties: Vec<Tie> = ties.into_iter().collect();
    ties.sort_unstable();
    Ok(ties)
}
