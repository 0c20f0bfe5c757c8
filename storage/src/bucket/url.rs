//! Names of buckets: `s3://bucket/prefix`.

use std::fmt;
use std::str::FromStr;

/// Where in which bucket a log lives: `s3://bucket/prefix`, `gs://bucket/prefix` or
/// `az://container/prefix`. The prefix may be missing, and may have slashes within.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct BucketUrl {
    cloud: Cloud,
    bucket: String,
    prefix: String,
}

/// Whose protocol a bucket speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cloud {
    /// Amazon S3, and the many that speak its protocol: `s3://`.
    S3,
    /// Google Cloud Storage: `gs://`.
    Google,
    /// Azure Blob Storage: `az://`.
    Azure,
}

/// Why a text names no bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseBucketUrlError {
    /// The scheme.
    #[error("a bucket is s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")]
    Scheme,
    /// The bucket's name.
    #[error(
        "a bucket's name has 3 to 222 characters, of a-z, 0-9, dot, dash and underscore: s3://bucket/prefix"
    )]
    Bucket,
    /// The prefix ends with a slash.
    #[error("a prefix ends without a slash: s3://bucket/prefix")]
    TrailingSlash,
    /// Some other character or element of the prefix.
    #[error(
        "a prefix has at most 500 characters: elements of letters, digits, dot, dash and underscore \
         with single slashes between them: s3://bucket/some/prefix"
    )]
    Prefix,
}

impl Cloud {
    const ALL: [Self; 3] = [Self::S3, Self::Google, Self::Azure];

    const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3://",
            Self::Google => "gs://",
            Self::Azure => "az://",
        }
    }
}

impl BucketUrl {
    /// The longest prefix, in bytes: with the longest name of an object it fits into the 1,024 bytes
    /// that every cloud allows.
    pub const MAX_PREFIX: usize = 500;

    /// Whose protocol it speaks.
    #[must_use]
    pub const fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// The name of the bucket, or of the container.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What every name begins with, without a slash at its end; empty where there is none.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether both are the same bucket, whatever their prefixes. Two accounts or endpoints may each
    /// have a bucket of that name, which a URL does not tell.
    #[must_use]
    pub fn is_in_bucket_of(&self, other: &Self) -> bool {
        self.cloud == other.cloud && self.bucket == other.bucket
    }
}

impl FromStr for BucketUrl {
    type Err = ParseBucketUrlError;

    fn from_str(url: &str) -> Result<Self, ParseBucketUrlError> {
        use ParseBucketUrlError as E;
        let parse = |cloud: Cloud| Some((cloud, url.strip_prefix(cloud.scheme())?));
        let (cloud, rest) = Cloud::ALL.into_iter().find_map(parse).ok_or(E::Scheme)?;
        let (bucket, prefix) = rest.split_once('/').map_or((rest, None), |(b, p)| (b, Some(p)));
        if !is_bucket(bucket) {
            return Err(E::Bucket);
        }
        match prefix {
            Some(prefix) if prefix.is_empty() || prefix.ends_with('/') => Err(E::TrailingSlash),
            Some(prefix) if !is_prefix(prefix) => Err(E::Prefix),
            prefix => Ok(Self { cloud, bucket: bucket.into(), prefix: prefix.unwrap_or_default().into() }),
        }
    }
}

/// Each cloud has further rules. Whoever breaks one names a bucket that is not there.
fn is_bucket(name: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    (3..=222).contains(&name.len()) && name.bytes().all(plain)
}

fn is_prefix(prefix: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let element = |e: &str| !matches!(e, "" | "." | "..") && e.bytes().all(plain);
    prefix.len() <= BucketUrl::MAX_PREFIX && prefix.split('/').all(element)
}

impl fmt::Display for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.cloud.scheme(), self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_one_name() {
        for (text, cloud, bucket, prefix) in [
            ("s3://bucket", Cloud::S3, "bucket", ""),
            ("s3://my-bucket.example/a/B_c.d", Cloud::S3, "my-bucket.example", "a/B_c.d"),
            ("gs://my_bucket/prefix", Cloud::Google, "my_bucket", "prefix"),
            ("az://container/prefix", Cloud::Azure, "container", "prefix"),
        ] {
            let url: BucketUrl = text.parse().expect(text);
            assert_eq!((url.cloud(), url.bucket(), url.prefix()), (cloud, bucket, prefix), "{text}");
            assert_eq!(url.to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_by_the_rule_it_breaks() {
        use ParseBucketUrlError as E;
        let long = format!("s3://bucket/{}", "a".repeat(501));
        for (text, error) in [
            ("", E::Scheme),
            ("log", E::Scheme),
            ("S3://bucket", E::Scheme),
            ("s3:/bucket", E::Scheme),
            ("https://bucket.s3.amazonaws.com", E::Scheme),
            ("s3://", E::Bucket),
            ("s3:///prefix", E::Bucket),
            ("s3://ab", E::Bucket),
            ("s3://Bucket", E::Bucket),
            ("s3://user@bucket", E::Bucket),
            ("s3://bucket:80/prefix", E::Bucket),
            ("s3://bucket?x=y", E::Bucket),
            ("s3://bucket/", E::TrailingSlash),
            ("s3://bucket/prefix/", E::TrailingSlash),
            ("s3://bucket//prefix", E::Prefix),
            ("s3://bucket/a/../b", E::Prefix),
            ("s3://bucket/a b", E::Prefix),
            ("s3://bucket/a%20b", E::Prefix),
            ("s3://bucket/a#b", E::Prefix),
            (&long, E::Prefix),
        ] {
            assert_eq!(text.parse::<BucketUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn two_prefixes_may_be_in_one_bucket() {
        let url = |text: &str| text.parse::<BucketUrl>().expect(text);
        assert!(url("s3://bucket/log").is_in_bucket_of(&url("s3://bucket/guard")));
        assert!(!url("s3://bucket/log").is_in_bucket_of(&url("s3://other/log")));
        assert!(!url("s3://bucket/log").is_in_bucket_of(&url("gs://bucket/log")));
    }
}
