//! Where in a resource the check stands: written out only when there is something to say.

use std::fmt;

/// A place, by its steps from the root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    above: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

impl<'a> Path<'a> {
    pub(super) fn root(path: &'a str) -> Path<'a> {
        Path { above: None, step: Step::Member(path) }
    }

    pub(super) fn member<'b>(&'b self, name: &'b str) -> Path<'b>
    where
        'a: 'b,
    {
        Path { above: Some(self), step: Step::Member(name) }
    }

    pub(super) fn item<'b>(&'b self, index: usize) -> Path<'b>
    where
        'a: 'b,
    {
        Path { above: Some(self), step: Step::Item(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            write!(f, "{above}")?;
        }
        match self.step {
            Step::Item(index) => write!(f, "[{index}]"),
            Step::Member(name) => {
                let rooted = self.above.is_some_and(|above| !above.is_empty());
                if rooted { write!(f, ".{}", super::told(name)) } else { f.write_str(&super::told(name)) }
            }
        }
    }
}

impl Path<'_> {
    fn is_empty(&self) -> bool {
        self.above.is_none() && matches!(self.step, Step::Member(""))
    }
}
