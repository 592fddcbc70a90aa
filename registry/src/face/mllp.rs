//! What the MLLP listener hears: ITI-8.

use mllp::{Ear, Heard, Hearing, Receiver};
use web::Request;

use super::hl7v2::Feed;
use crate::Registry;

impl Registry {
    fn feed(&self) -> Feed<'_> {
        Feed {
            hearing: Hearing::new(self.ear.settings(), &self.corridor.clock),
            authorities: &self.identities.authorities,
        }
    }
}

impl Receiver for Registry {
    fn ear(&self) -> &Ear {
        &self.ear
    }

    async fn hear(&self, message: &mut Request) -> Heard {
        let feed = self.feed();
        let walk = self.corridor.walk(&self.feed_v2, &feed, message);
        Heard { answer: mllp::carried(self.ear.deadline(), walk).await, transaction: "ITI-8" }
    }

    fn too_long(&self, beginning: &[u8]) -> Vec<u8> {
        self.feed().hearing.too_long(beginning)
    }

    #[cfg(feature = "failpoints")]
    async fn may_answer(&self) -> bool {
        store::point::reached("reg.feed.pre_ack").await.is_ok()
    }
}
