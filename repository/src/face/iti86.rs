//! Remove Documents [ITI-86] on the wire.

use actor::{Codec, Context, Fault};
use soap::Call;
use web::{Answer, Request};
use xds::Findings;

use super::iti43::wanted;
use super::soap::registry_response;
use crate::Repository;
use crate::remove::{Remove, Removed};
use crate::retrieve_set::Wanted;

/// Answers one removal.
pub(crate) async fn serve(repository: &Repository, request: &mut Request, call: Call) -> Answer {
    repository.house.corridor.walk(&repository.remove, &Removal(call), request).await
}

struct Removal(Call);

impl Codec<Remove> for Removal {
    async fn read(&self, _: &mut Request, _: &Context) -> Result<Vec<Wanted>, Fault<Findings>> {
        wanted(&self.0)
    }

    fn write(&self, removed: Removed, _: &Context) -> Answer {
        self.0.answer(registry_response(&removed.findings, removed.removed > 0))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        self.0.refuse(&fault, context)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        soap::reason(fault)
    }
}
