//! Content codings (RFC 9110 section 8.4): decoding in small steps, so that a bomb is noticed before it goes off, and encoding.

use std::io::{self, Read, Write};

use bytes::Bytes;

/// A content coding we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Brotli,
    Zstd,
}

/// Decoded bytes given at a time.
const STEP: usize = 32 << 10;

impl Coding {
    /// The coding of a body by its `Content-Encoding`: none, one of ours, or the name of one that is not.
    pub(crate) fn of(header: Option<&str>) -> Result<Option<Coding>, String> {
        let Some(header) = header else { return Ok(None) };
        let name = header.trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Coding::Gzip)),
            "br" => Ok(Some(Coding::Brotli)),
            "zstd" => Ok(Some(Coding::Zstd)),
            _ => Err(name.chars().filter(char::is_ascii_graphic).take(32).collect()),
        }
    }

    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }

    /// The best coding the caller accepts; at equal wish, the cheapest for its gain.
    pub(crate) fn wanted(accept: Option<&str>) -> Option<Coding> {
        let mut best: Option<(u16, Coding)> = None;
        for wish in accept?.split(',') {
            let mut parts = wish.split(';');
            let name = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let quality = parts
                .find_map(|p| p.trim().strip_prefix("q="))
                .map_or(1000, |q| q.trim().parse::<f32>().map_or(0, |q| (q.clamp(0.0, 1.0) * 1000.0) as u16));
            let coding = match name.as_str() {
                "zstd" | "*" => Coding::Zstd,
                "gzip" | "x-gzip" => Coding::Gzip,
                "br" => Coding::Brotli,
                _ => continue,
            };
            let rank = |coding| match coding {
                Coding::Zstd => 2,
                Coding::Gzip => 1,
                Coding::Brotli => 0,
            };
            if quality > 0 && best.is_none_or(|(q, c)| (quality, rank(coding)) > (q, rank(c))) {
                best = Some((quality, coding));
            }
        }
        best.map(|(_, coding)| coding)
    }

    /// Encodes parts of a body as one.
    pub(crate) fn encode(self, parts: &[Bytes]) -> io::Result<Vec<u8>> {
        let all = |out: &mut dyn Write| parts.iter().try_for_each(|part| out.write_all(part));
        match self {
            Coding::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                all(&mut out)?;
                out.finish()
            }
            Coding::Zstd => {
                let mut out = zstd::stream::write::Encoder::new(Vec::new(), 3)?;
                all(&mut out)?;
                out.finish()
            }
            Coding::Brotli => {
                let mut out = brotli::CompressorWriter::new(Vec::new(), 16 << 10, 4, 20);
                all(&mut out)?;
                out.flush()?;
                Ok(out.into_inner())
            }
        }
    }
}

/// Decodes a body that comes in pieces.
pub(crate) struct Decoder {
    inner: Inner,
    ended: bool,
}

/// What has been received and not yet decoded. Reading beyond it says `WouldBlock` until the end is known.
#[derive(Default)]
struct Feed {
    bytes: Bytes,
    ended: bool,
}

impl Read for Feed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = out.len().min(self.bytes.len());
        out[..n].copy_from_slice(&self.bytes.split_to(n));
        Ok(n)
    }
}

enum Inner {
    Gzip(Box<flate2::read::MultiGzDecoder<Feed>>),
    Brotli(Box<brotli::Decompressor<Feed>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, io::BufReader<Feed>>>),
    Unusable(String),
}

impl Decoder {
    pub(crate) fn new(coding: Coding) -> Decoder {
        let inner = match coding {
            Coding::Gzip => Inner::Gzip(Box::new(flate2::read::MultiGzDecoder::new(Feed::default()))),
            Coding::Brotli => Inner::Brotli(Box::new(brotli::Decompressor::new(Feed::default(), 4 << 10))),
            Coding::Zstd => match zstd::stream::read::Decoder::new(Feed::default()) {
                Ok(mut decoder) => {
                    // A window of 8 MiB is what RFC 9659 grants a content coding.
                    match decoder.window_log_max(23) {
                        Ok(()) => Inner::Zstd(Box::new(decoder)),
                        Err(error) => Inner::Unusable(error.to_string()),
                    }
                }
                Err(error) => Inner::Unusable(error.to_string()),
            },
        };
        Decoder { inner, ended: false }
    }

    fn source(&mut self) -> Option<&mut Feed> {
        match &mut self.inner {
            Inner::Gzip(decoder) => Some(decoder.get_mut()),
            Inner::Brotli(decoder) => Some(decoder.get_mut()),
            Inner::Zstd(decoder) => Some(decoder.get_mut().get_mut()),
            Inner::Unusable(_) => None,
        }
    }

    /// Gives more of the encoded body; all given before has been decoded.
    pub(crate) fn feed(&mut self, bytes: Bytes) {
        if let Some(source) = self.source() {
            if source.bytes.is_empty() {
                source.bytes = bytes;
            } else {
                let mut all = Vec::with_capacity(source.bytes.len() + bytes.len());
                all.extend_from_slice(&source.bytes);
                all.extend_from_slice(&bytes);
                source.bytes = all.into();
            }
        }
    }

    /// Says that the encoded body is complete.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        if let Inner::Unusable(why) = &self.inner {
            return Err(why.clone());
        }
        if let Some(source) = self.source() {
            source.ended = true;
        }
        Ok(())
    }

    /// The next decoded bytes; none if more must be given, or at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, String> {
        if self.ended {
            return Ok(None);
        }
        let mut out = vec![0; STEP];
        let mut filled = 0;
        while filled < STEP {
            let read = match &mut self.inner {
                Inner::Gzip(decoder) => decoder.read(&mut out[filled..]),
                Inner::Brotli(decoder) => decoder.read(&mut out[filled..]),
                Inner::Zstd(decoder) => decoder.read(&mut out[filled..]),
                Inner::Unusable(why) => return Err(why.clone()),
            };
            match read {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        out.truncate(filled);
        Ok((filled > 0).then(|| out.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coding: Coding, encoded: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let mut decoder = Decoder::new(coding);
        let mut out = Vec::new();
        for piece in encoded.chunks(piece) {
            decoder.feed(Bytes::copy_from_slice(piece));
            while let Some(bytes) = decoder.next()? {
                out.extend_from_slice(&bytes);
            }
        }
        decoder.finish()?;
        while let Some(bytes) = decoder.next()? {
            out.extend_from_slice(&bytes);
        }
        Ok(out)
    }

    #[test]
    fn what_is_encoded_is_decoded_in_pieces_of_any_size() {
        let text: Vec<u8> = (0..100_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let parts = [Bytes::from(text[..1000].to_vec()), Bytes::from(text[1000..].to_vec())];
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let encoded = coding.encode(&parts).unwrap();
            assert!(encoded.len() < text.len());
            for piece in [1, 7, 4096, encoded.len()] {
                assert_eq!(
                    decoded(coding, &encoded, piece).as_deref(),
                    Ok(text.as_slice()),
                    "{coding:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn a_truncated_or_foreign_body_is_an_error() {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let encoded = coding.encode(&[Bytes::from_static(&[7; 5000])]).unwrap();
            assert!(decoded(coding, &encoded[..encoded.len() - 3], 8).is_err(), "{coding:?} cut short");
            assert!(
                decoded(coding, b"this was never encoded at all", 8).is_err(),
                "{coding:?} of plain text"
            );
        }
    }

    #[test]
    fn the_coding_is_chosen_by_the_wish_of_the_caller() {
        assert_eq!(Coding::wanted(Some("gzip, deflate, br")), Some(Coding::Gzip));
        assert_eq!(Coding::wanted(Some("gzip;q=0.5, br;q=0.9")), Some(Coding::Brotli));
        assert_eq!(Coding::wanted(Some("identity, gzip;q=0")), None);
        assert_eq!(Coding::wanted(None), None);
        assert_eq!(Coding::of(Some("deflate")), Err("deflate".to_owned()));
        assert_eq!(Coding::of(Some("GZIP")), Ok(Some(Coding::Gzip)));
    }
}
