//! Whom a certificate speaks of: names, validity, and what [Fulcio] puts into its extensions.
//!
//! These are claims. Only a chain to a trusted authority makes more of them.
//!
//! [Fulcio]: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md

use core::fmt;

use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};
use x509_cert::der::{Any, Decode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use crate::certificate::Certificate;
use crate::timestamp::Timestamp;

/// Subject alternative name, [RFC 5280, section 4.2.1.6].
///
/// [RFC 5280, section 4.2.1.6]: https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.6
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
/// The arc of Fulcio's extensions.
const FULCIO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");
/// Of names that are neither an e-mail address nor a URI.
const FULCIO_OTHER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// What a certificate claims. The texts are as they stand there: they may hold any character.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The serial number, in hex.
    pub serial: String,
    /// The subject by RFC 4514. Fulcio leaves it empty.
    pub subject: String,
    /// The issuer by RFC 4514.
    pub issuer: String,
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
    /// The subject's alternative names: with Fulcio one, who signed.
    pub names: Vec<SubjectName>,
    /// Fulcio's extensions, in their order in the certificate.
    pub extensions: Vec<FulcioExtension>,
}

/// An alternative name of the subject.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SubjectName {
    /// An e-mail address.
    Email(String),
    /// A URI: a workflow, a SPIFFE ID.
    Uri(String),
    /// A name of a host.
    Dns(String),
    /// Fulcio's `OtherName`: `user!domain`.
    Fulcio(String),
    /// Anything else: nothing that Sigstore names people by.
    Unknown,
}

/// What a certificate says about where its signer comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FulcioExtension {
    /// The last number of its object identifier.
    pub number: u32,
    /// Its text.
    pub value: String,
}

/// Why the claims of a certificate cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not a list of names, or a list too many.
    #[error("the subject's alternative names are malformed, or there twice")]
    Names,
    /// An extension of Fulcio's is no text, or there twice.
    #[error("the extension 1.3.6.1.4.1.57264.1.{0} is no text, or there twice")]
    Extension(u32),
}

impl Certificate {
    /// Whom the certificate speaks of.
    ///
    /// # Errors
    /// Where an extension that tells is malformed.
    pub fn identity(&self) -> Result<Identity, IdentityError> {
        let tbs = self.parsed().tbs_certificate();
        let validity = tbs.validity();
        Ok(Identity {
            serial: hex(tbs.serial_number().as_bytes()),
            subject: tbs.subject().to_string(),
            issuer: tbs.issuer().to_string(),
            not_before: timestamp(&validity.not_before),
            not_after: timestamp(&validity.not_after),
            names: self.names()?,
            extensions: self.fulcio_extensions()?,
        })
    }

    /// The content of all extensions, by object identifier.
    fn extensions(&self) -> impl Iterator<Item = (ObjectIdentifier, &[u8])> {
        let extensions = self.parsed().tbs_certificate().extensions().into_iter().flatten();
        extensions.map(|extension| (extension.extn_id, extension.extn_value.as_bytes()))
    }

    fn names(&self) -> Result<Vec<SubjectName>, IdentityError> {
        let mut lists = self.extensions().filter(|(id, _)| *id == SUBJECT_ALT_NAME);
        let Some((_, names)) = lists.next() else { return Ok(Vec::new()) };
        if lists.next().is_some() {
            return Err(IdentityError::Names);
        }
        let names = Vec::<GeneralName>::from_der(names).map_err(|_| IdentityError::Names)?;
        names.iter().map(|name| subject_name(name).ok_or(IdentityError::Names)).collect()
    }

    fn fulcio_extensions(&self) -> Result<Vec<FulcioExtension>, IdentityError> {
        let mut found: Vec<FulcioExtension> = Vec::new();
        for (id, content) in self.extensions() {
            let Some(number) = fulcio_number(id) else { continue };
            let value = fulcio_text(number, content).ok_or(IdentityError::Extension(number))?;
            if found.iter().any(|other| other.number == number) {
                return Err(IdentityError::Extension(number));
            }
            found.push(FulcioExtension { number, value });
        }
        Ok(found)
    }
}

impl Identity {
    /// Who vouched for the signer at the authority: the OIDC issuer, of the extension that holds it as
    /// a string, else of its predecessor.
    #[must_use]
    pub fn oidc_issuer(&self) -> Option<&str> {
        self.extension(8).or_else(|| self.extension(1))
    }

    /// The text of a Fulcio extension.
    #[must_use]
    pub fn extension(&self, number: u32) -> Option<&str> {
        self.extensions.iter().find(|extension| extension.number == number).map(|found| found.value.as_str())
    }
}

impl FulcioExtension {
    /// What Fulcio calls it; `None` for one that is not known here.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        Some(match self.number {
            1 => "Issuer",
            2 => "GitHub Workflow Trigger",
            3 => "GitHub Workflow SHA",
            4 => "GitHub Workflow Name",
            5 => "GitHub Workflow Repository",
            6 => "GitHub Workflow Ref",
            8 => "Issuer (V2)",
            9 => "Build Signer URI",
            10 => "Build Signer Digest",
            11 => "Runner Environment",
            12 => "Source Repository URI",
            13 => "Source Repository Digest",
            14 => "Source Repository Ref",
            15 => "Source Repository Identifier",
            16 => "Source Repository Owner URI",
            17 => "Source Repository Owner Identifier",
            18 => "Build Config URI",
            19 => "Build Config Digest",
            20 => "Build Trigger",
            21 => "Run Invocation URI",
            22 => "Source Repository Visibility At Signing",
            23 => "Deployment Environment",
            24 => "Token Subject",
            _ => return None,
        })
    }
}

/// The name as people write it.
impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email(name) | Self::Uri(name) | Self::Dns(name) | Self::Fulcio(name) => f.write_str(name),
            Self::Unknown => f.write_str("(a name of another kind)"),
        }
    }
}

fn subject_name(name: &GeneralName) -> Option<SubjectName> {
    Some(match name {
        GeneralName::Rfc822Name(email) => SubjectName::Email(email.to_string()),
        GeneralName::UniformResourceIdentifier(uri) => SubjectName::Uri(uri.to_string()),
        GeneralName::DnsName(dns) => SubjectName::Dns(dns.to_string()),
        GeneralName::OtherName(other) if other.type_id == FULCIO_OTHER_NAME => {
            SubjectName::Fulcio(utf8_string(&other.value)?)
        }
        _ => SubjectName::Unknown,
    })
}

/// The number behind Fulcio's arc, of extensions proper: 7 is a kind of name.
fn fulcio_number(id: ObjectIdentifier) -> Option<u32> {
    let number = id.arcs().last()?;
    (id.parent() == Some(FULCIO) && number != 7).then_some(number)
}

/// The [first six] are bare text, the others a `UTF8String`.
///
/// [first six]: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md#extension-values
fn fulcio_text(number: u32, content: &[u8]) -> Option<String> {
    match number {
        ..=6 => str::from_utf8(content).ok().map(str::to_owned),
        _ => Utf8StringRef::from_der(content).ok().map(|text| text.as_str().to_owned()),
    }
}

fn utf8_string(any: &Any) -> Option<String> {
    any.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.as_str().to_owned())
}

fn timestamp(time: &Time) -> Timestamp {
    time.to_date_time().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
