//! Identifiers and who assigned them: the data types CX and HD.

use crate::message::{Part, Separators};

/// Who assigns identifiers (HD): a name, a universal id, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authority {
    /// HD.1, a name that is only known where it is agreed on.
    pub namespace: String,
    /// HD.2, e.g. an OID.
    pub universal_id: String,
    /// HD.3, e.g. `ISO`.
    pub universal_id_type: String,
}

impl Authority {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.namespace.is_empty() && self.universal_id.is_empty()
    }
}

/// As it stands in a message: `NAMESPACE&1.2.3&ISO`.
impl std::fmt::Display for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.namespace)?;
        if !self.universal_id.is_empty() {
            write!(f, "&{}&{}", self.universal_id, self.universal_id_type)?;
        }
        Ok(())
    }
}

/// An identifier (CX), as far as identity is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cx {
    /// CX.1. Empty where the message says nothing, or says that there is none (`""`).
    pub id: String,
    /// CX.4.
    pub authority: Authority,
}

impl Cx {
    /// Reads one repetition of a field.
    pub fn read(part: Part<'_>) -> Cx {
        let text =
            |part: Part<'_>| if part.is_null() { String::new() } else { part.text().trim().to_owned() };
        let authority = part.component(4);
        Cx {
            id: text(part.component(1)),
            authority: Authority {
                namespace: text(authority.subcomponent(1)),
                universal_id: text(authority.subcomponent(2)),
                universal_id_type: text(authority.subcomponent(3)),
            },
        }
    }

    /// As a field has it: `7^^^RED&1.2.3&ISO`.
    pub fn write(&self, separators: &Separators) -> String {
        let Authority { namespace, universal_id, universal_id_type } = &self.authority;
        let authority = separators.subcomponents([namespace, universal_id, universal_id_type]);
        let c = separators.component;
        let written = format!("{}{c}{c}{c}{authority}", separators.escape(&self.id));
        written.trim_end_matches(c).to_owned()
    }
}
