//! What the door counts, beside what its server counts.

use std::sync::Arc;

use kiln_http::{Certificates, Gate, NotReady, Probe, TurnedAway};

const END: &str = "# EOF\n";

/// Metrics, and what a gate counts.
pub(crate) fn with_gate(metrics: &str, gate: &Gate) -> String {
    let TurnedAway { unauthorized, too_many } = gate.turned_away();
    let rest = metrics.strip_suffix(END).unwrap_or(metrics);
    format!(
        "{rest}# HELP kiln_submissions_turned_away Submissions that were not let in, by why.\n\
         # TYPE kiln_submissions_turned_away counter\n\
         kiln_submissions_turned_away_total{{reason=\"token\"}} {unauthorized}\n\
         kiln_submissions_turned_away_total{{reason=\"rate\"}} {too_many}\n{END}"
    )
}

/// Metrics, and when the certificate ends that is shown, if one is.
fn with_certificate(metrics: &str, certificates: Option<&Certificates>) -> String {
    let Some(validity) = certificates.and_then(Certificates::validity) else { return metrics.to_owned() };
    let rest = metrics.strip_suffix(END).unwrap_or(metrics);
    format!(
        "{rest}# HELP kiln_tls_certificate_end_timestamp_seconds When the certificate that is shown ends, Unix time.\n\
         # TYPE kiln_tls_certificate_end_timestamp_seconds gauge\n\
         # UNIT kiln_tls_certificate_end_timestamp_seconds seconds\n\
         kiln_tls_certificate_end_timestamp_seconds {}\n{END}",
        validity.not_after
    )
}

/// A probe whose metrics have the door's with them.
#[derive(Clone, Debug)]
pub(crate) struct WithDoor<P> {
    probe: P,
    gate: Option<Arc<Gate>>,
    certificates: Option<Certificates>,
}

impl<P> WithDoor<P> {
    /// Without a gate, where its server tells of it itself.
    pub(crate) fn new(probe: P, gate: Option<Arc<Gate>>, certificates: Option<&Certificates>) -> Self {
        Self { probe, gate, certificates: certificates.cloned() }
    }
}

impl<P: Probe> Probe for WithDoor<P> {
    fn ready(&self) -> Result<(), NotReady> {
        self.probe.ready()
    }

    fn metrics(&self) -> String {
        let metrics = self.probe.metrics();
        let metrics = self.gate.as_ref().map_or(metrics.clone(), |gate| with_gate(&metrics, gate));
        with_certificate(&metrics, self.certificates.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bare;

    impl Probe for Bare {
        fn ready(&self) -> Result<(), NotReady> {
            Ok(())
        }

        fn metrics(&self) -> String {
            "one 1\n# EOF\n".to_owned()
        }
    }

    #[test]
    fn what_the_door_counts_stands_before_the_end() {
        let text = WithDoor::new(Bare, Some(Arc::default()), Some(&Certificates::default())).metrics();
        assert!(text.starts_with("one 1\n# HELP kiln_submissions_turned_away "), "{text}");
        assert!(
            text.ends_with("_total{reason=\"rate\"} 0\n# EOF\n"),
            "no certificate, no end of one: {text}"
        );
        assert_eq!(text.matches("# EOF").count(), 1);
    }
}
