//! What the MLLP listener hears: feeds (ITI-8) and questions (ITI-9, ITI-21).

use mllp::{Ear, Heard, Hearing, Receiver};
use web::Request;

use super::hl7v2;
use crate::IdentitySource;

impl Receiver for IdentitySource {
    fn ear(&self) -> &Ear {
        &self.ear
    }

    async fn hear(&self, message: &mut Request) -> Heard {
        message.base = self.public_url.clone().unwrap_or_default();
        hl7v2::hear(self, message).await
    }

    fn too_long(&self, beginning: &[u8]) -> Vec<u8> {
        Hearing::new(self.ear.settings(), &self.corridor.clock).too_long(beginning)
    }
}
