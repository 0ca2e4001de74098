//! Reads the parts of a certificate that rustls does not tell (RFC 5280, section 4.1). Whether a certificate is one at all
//! has been seen by then; it comes from a file of our own, and not from a stranger.

#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of a reader is not general enough for its lifetimes"
)]

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use yasna::models::{ObjectIdentifier, TaggedDerValue};
use yasna::{ASN1Result, BERReader, BERReaderSeq, Tag, parse_ber, tags};

const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];
const ORGANIZATION: [u64; 4] = [2, 5, 4, 10];
const ALTERNATIVE_NAMES: [u64; 4] = [2, 5, 29, 17];
const AUTHORITY_ACCESS: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 1];
/// Where the issuer's certificate can be had.
const ISSUERS: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 48, 2];
/// Which kind of a general name a DNS name and an address are.
const DNS_NAME: u64 = 2;
const ADDRESS: u64 = 7;

/// What a certificate says.
#[derive(Debug)]
pub struct Certificate {
    pub issuer: Name,
    pub subject: Name,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
    /// Its public key, with what kind of key it is, in DER.
    pub key: Vec<u8>,
    /// Host names and addresses, as they are written in URLs without brackets.
    pub names: Vec<String>,
    /// Whether it says where its issuer's certificate can be had.
    pub names_issuer_file: bool,
}

/// A distinguished name.
#[derive(Debug, PartialEq, Eq)]
pub struct Name {
    /// In DER: two are the same that are the same in it.
    der: Vec<u8>,
    common: Option<String>,
    organization: Option<String>,
}

type Extension = (ObjectIdentifier, Vec<u8>);

impl Certificate {
    /// `None` where something else is encoded.
    pub fn read(der: &[u8]) -> Option<Self> {
        let signed = |reader: BERReader<'_, '_>| {
            reader.read_sequence(|reader| {
                let own = reader.next().read_sequence(Self::own)?;
                reader.next().read_der()?;
                reader.next().read_der()?;
                Ok(own)
            })
        };
        parse_ber(der, signed).ok()
    }

    fn own(reader: &mut BERReaderSeq<'_, '_>) -> ASN1Result<Self> {
        reader.read_optional(|reader| {
            reader.read_tagged(Tag::context(0), |reader| reader.read_u8())
        })?;
        reader.next().read_der()?;
        reader.next().read_der()?;
        let issuer = Name::read(reader.next())?;
        let (not_before, not_after) = reader
            .next()
            .read_sequence(|reader| Ok((moment(reader.next())?, moment(reader.next())?)))?;
        let subject = Name::read(reader.next())?;
        let key = reader.next().read_der()?;
        for number in [1, 2] {
            reader.read_optional(|reader| {
                reader
                    .read_tagged_implicit(Tag::context(number), |reader| reader.read_bitvec_bytes())
            })?;
        }
        let extensions = reader.read_optional(|reader| {
            reader.read_tagged(Tag::context(3), |reader| reader.collect_sequence_of(extension))
        })?;
        let extensions = extensions.unwrap_or_default();
        let names = of(&extensions, &ALTERNATIVE_NAMES).map(names).unwrap_or_default();
        let names_issuer_file = of(&extensions, &AUTHORITY_ACCESS).is_some_and(has_issuers);
        Ok(Self { issuer, subject, not_before, not_after, key, names, names_issuer_file })
    }
}

impl Name {
    fn read(reader: BERReader<'_, '_>) -> ASN1Result<Self> {
        let der = reader.read_der()?;
        let (mut common, mut organization) = (None, None);
        parse_ber(&der, |reader| {
            reader.read_sequence_of(|reader| {
                reader.read_set_of(|reader| {
                    let (kind, value) = reader.read_sequence(|reader| {
                        Ok((reader.next().read_oid()?, reader.next().read_tagged_der()?))
                    })?;
                    match kind.components().as_slice() {
                        kind if *kind == COMMON_NAME => common = Some(text(&value)),
                        kind if *kind == ORGANIZATION => organization = Some(text(&value)),
                        _ => {}
                    }
                    Ok(())
                })
            })
        })?;
        Ok(Self { der, common, organization })
    }

    /// As people know it, such as `R11 (Let's Encrypt)`.
    pub fn short(&self) -> String {
        match (&self.common, &self.organization) {
            (Some(common), Some(organization)) if common != organization => {
                format!("{common} ({organization})")
            }
            (Some(name), _) | (None, Some(name)) => name.clone(),
            (None, None) => "a nameless issuer".to_owned(),
        }
    }
}

fn text(value: &TaggedDerValue) -> String {
    if value.tag() != tags::TAG_BMPSTRING {
        return String::from_utf8_lossy(value.value()).into_owned();
    }
    let (units, _) = value.value().as_chunks();
    String::from_utf16_lossy(&units.iter().copied().map(u16::from_be_bytes).collect::<Vec<_>>())
}

fn moment(reader: BERReader<'_, '_>) -> ASN1Result<SystemTime> {
    let seconds = match reader.lookahead_tag()? {
        tags::TAG_UTCTIME => reader.read_utctime()?.datetime().unix_timestamp(),
        _ => reader.read_generalized_time()?.datetime().unix_timestamp(),
    };
    let since = Duration::from_secs(seconds.unsigned_abs());
    let moment = match seconds < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(since),
        false => SystemTime::UNIX_EPOCH.checked_add(since),
    };
    Ok(moment.unwrap_or(SystemTime::UNIX_EPOCH))
}

fn extension(reader: BERReader<'_, '_>) -> ASN1Result<Extension> {
    reader.read_sequence(|reader| {
        let kind = reader.next().read_oid()?;
        reader.read_default(false, |reader| reader.read_bool())?;
        Ok((kind, reader.next().read_bytes()?))
    })
}

fn of<'a>(extensions: &'a [Extension], wanted: &[u64]) -> Option<&'a [u8]> {
    let found = extensions.iter().find(|(kind, _)| kind.components().as_slice() == wanted);
    found.map(|(_, value)| value.as_slice())
}

fn names(value: &[u8]) -> Vec<String> {
    let read = |reader: BERReader<'_, '_>| {
        reader.collect_sequence_of(|reader| Ok(name(&reader.read_tagged_der()?)))
    };
    parse_ber(value, read).unwrap_or_default().into_iter().flatten().collect()
}

fn name(name: &TaggedDerValue) -> Option<String> {
    let value = name.value();
    match name.tag() {
        tag if tag == Tag::context(DNS_NAME) => {
            let name = std::str::from_utf8(value).ok()?;
            Some(name.trim_end_matches('.').to_ascii_lowercase())
        }
        tag if tag == Tag::context(ADDRESS) => {
            let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()?;
            Some(address.to_string())
        }
        _ => None,
    }
}

fn has_issuers(value: &[u8]) -> bool {
    let read = |reader: BERReader<'_, '_>| {
        reader.collect_sequence_of(|reader| {
            reader.read_sequence(|reader| {
                let method = reader.next().read_oid()?;
                reader.next().read_der()?;
                Ok(method.components().as_slice() == ISSUERS)
            })
        })
    };
    parse_ber(value, read).unwrap_or_default().contains(&true)
}
