//! Paging tokens: sealed (authenticated, encrypted), so that no identifier is readable and no server state is kept.

use std::borrow::Cow;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use ring_seal::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring_seal::rand;

/// The key of one domain, shared by replicas.
#[derive(Clone)]
pub struct Sealer {
    key: Arc<LessSafeKey>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

/// What a token carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken {
    /// The search as first asked (query and form joined), so that a POST search can be continued by GET.
    pub query: String,
    /// The store's cursor.
    pub cursor: Vec<u8>,
    /// The state that is read.
    pub as_of: u64,
    /// When it was made, microseconds.
    pub made: i64,
    /// Total of the first page.
    pub total: Option<u64>,
    /// Cursors of the pages before this one, newest last, for `previous` and `first` (empty cursor = first page).
    pub back: Vec<Vec<u8>>,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Changed, or not ours: 400.
    Tampered,
    /// Older than its time to live: 410.
    Expired,
}

/// Says which form of token this is; a later one takes the next number.
const FORM: u8 = 2;

/// What is longer is made shorter before it is sealed: the question of a POST search can be long. Up to here the address of a
/// page stays under 1 KiB as it is, and is written in a tenth of the time.
const LONG: usize = 512;
const AS_IT_IS: u8 = 0;
const DEFLATED: u8 = 1;

/// Bytes of a token that is opened: more than any form that is read has.
const MOST_BYTES: u64 = 1 << 20;

impl Sealer {
    /// A sealer with this key.
    pub fn new(key: [u8; 32]) -> Sealer {
        let key = UnboundKey::new(&AES_256_GCM, &key).expect("AES-256 takes 32 bytes");
        Sealer { key: Arc::new(LessSafeKey::new(key)) }
    }

    /// Seals a token: URL-safe text.
    pub fn seal(&self, token: &PageToken) -> String {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).expect("the system gives random bytes");
        let mut sealed = shortened(packed(token));
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from([FORM]), &mut sealed)
            .expect("a token is far shorter than AES-GCM allows");
        let mut whole = Vec::with_capacity(NONCE_LEN + sealed.len());
        whole.extend_from_slice(&nonce);
        whole.extend_from_slice(&sealed);
        URL_SAFE_NO_PAD.encode(whole)
    }

    /// Opens a token no older than `ttl_seconds` at `now` (microseconds).
    pub fn open(&self, text: &str, now: i64, ttl_seconds: u64) -> Result<PageToken, Refused> {
        let whole = URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Tampered)?;
        let (nonce, sealed) = whole.split_first_chunk::<NONCE_LEN>().ok_or(Refused::Tampered)?;
        let mut sealed = sealed.to_vec();
        let opened = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from([FORM]), &mut sealed)
            .map_err(|_| Refused::Tampered)?;
        let token = lengthened(opened).and_then(|whole| unpacked(&whole)).ok_or(Refused::Tampered)?;
        let ttl = i64::try_from(ttl_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        if now.saturating_sub(token.made) > ttl { Err(Refused::Expired) } else { Ok(token) }
    }
}

/// Deflated, where that is worth its while; the first byte says it.
fn shortened(packed: Vec<u8>) -> Vec<u8> {
    if packed.len() > LONG {
        let mut encoder = DeflateEncoder::new(vec![DEFLATED], Compression::best());
        let deflated = encoder.write_all(&packed).and_then(|()| encoder.finish());
        if let Some(deflated) = deflated.ok().filter(|deflated| deflated.len() < packed.len()) {
            return deflated;
        }
    }
    [&[AS_IT_IS], packed.as_slice()].concat()
}

fn lengthened(sealed: &[u8]) -> Option<Cow<'_, [u8]>> {
    match sealed.split_first()? {
        (&AS_IT_IS, packed) => Some(Cow::Borrowed(packed)),
        (&DEFLATED, deflated) => {
            let mut packed = Vec::new();
            DeflateDecoder::new(deflated).take(MOST_BYTES).read_to_end(&mut packed).ok()?;
            Some(Cow::Owned(packed))
        }
        _ => None,
    }
}

fn packed(token: &PageToken) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + token.query.len());
    number(&mut out, token.as_of);
    out.extend_from_slice(&token.made.to_le_bytes());
    number(&mut out, token.total.map_or(0, |total| total.saturating_add(1)));
    bytes(&mut out, token.query.as_bytes());
    bytes(&mut out, &token.cursor);
    number(&mut out, token.back.len() as u64);
    token.back.iter().for_each(|cursor| bytes(&mut out, cursor));
    out
}

/// Seven bits a byte, lowest first: small numbers stay short.
fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    number(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn unpacked(bytes: &[u8]) -> Option<PageToken> {
    let mut rest = bytes;
    let as_of = take_number(&mut rest)?;
    let (made, tail) = rest.split_first_chunk::<8>()?;
    rest = tail;
    let total = take_number(&mut rest)?.checked_sub(1);
    let query = String::from_utf8(take_bytes(&mut rest)?).ok()?;
    let cursor = take_bytes(&mut rest)?;
    let count = take_number(&mut rest)?;
    let back = (0..count).map(|_| take_bytes(&mut rest)).collect::<Option<_>>()?;
    rest.is_empty().then_some(PageToken {
        query,
        cursor,
        as_of,
        made: i64::from_le_bytes(*made),
        total,
        back,
    })
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take_bytes(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> PageToken {
        PageToken {
            query: "patient.identifier=urn:oid:1.2|a&status=current&_count=20".to_owned(),
            cursor: vec![1, 2, 3],
            as_of: 1 << 40,
            made: 1_700_000_000_000_000,
            total: Some(0),
            back: vec![Vec::new(), vec![9; 16]],
        }
    }

    #[test]
    fn a_token_opens_for_whoever_has_the_key_and_nobody_else() {
        let text = Sealer::new([1; 32]).seal(&token());
        assert_eq!(Sealer::new([1; 32]).open(&text, token().made, 60), Ok(token()));
        assert_eq!(Sealer::new([2; 32]).open(&text, token().made, 60), Err(Refused::Tampered));
        assert!(text.len() < 250 && !text.contains(['+', '/', '=']), "{text}");
    }

    #[test]
    fn any_changed_letter_is_noticed() {
        let sealer = Sealer::new([1; 32]);
        let text = sealer.seal(&token());
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last letter may hold bits that mean nothing; then the text is not canonical and refused as well.
            assert_eq!(sealer.open(&changed, token().made, 60), Err(Refused::Tampered), "letter {index}");
        }
        for text in ["", "A", "AAAA", "=%&"] {
            assert_eq!(sealer.open(text, 0, 60), Err(Refused::Tampered));
        }
    }

    #[test]
    fn a_long_question_is_sealed_short() {
        let values: Vec<String> =
            (0..100).map(|n| format!("http://loinc.org|{}-{}", 10_000 + n, n % 10)).collect();
        let query = format!("DocumentReference?patient.identifier=urn:oid:1.2|a&type={}", values.join(","));
        let long = PageToken { query, ..token() };
        let sealer = Sealer::new([1; 32]);
        let text = sealer.seal(&long);
        assert!(text.len() < 700, "{} of {}", text.len(), long.query.len());
        assert_eq!(sealer.open(&text, long.made, 60), Ok(long));
    }

    #[test]
    fn an_old_token_has_expired() {
        let sealer = Sealer::new([1; 32]);
        let text = sealer.seal(&token());
        assert_eq!(sealer.open(&text, token().made + 60_000_001, 60), Err(Refused::Expired));
        assert!(sealer.open(&text, token().made + 60_000_000, 60).is_ok());
    }

    #[test]
    fn two_tokens_of_one_page_do_not_look_alike() {
        let sealer = Sealer::new([1; 32]);
        assert_ne!(sealer.seal(&token()), sealer.seal(&token()));
    }
}
