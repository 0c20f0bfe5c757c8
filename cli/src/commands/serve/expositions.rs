//! The metrics of several logs as those of one process: each metric once, and the log that a value is of as a label.

/// Joins what the logs of these names say in the [OpenMetrics] text form: a metric has its type and help once, and all
/// its values together, as the format asks for.
///
/// [OpenMetrics]: https://prometheus.io/docs/specs/om/open_metrics_spec/
pub(super) fn joined<'a>(logs: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut families: Vec<Family> = Vec::new();
    for (name, text) in logs {
        let mut at = 0;
        for line in text.lines().filter(|line| *line != END) {
            match described(line) {
                Some(family) => at = find(&mut families, family, line),
                // Values of no metric that anybody described are none.
                None => families.get_mut(at).into_iter().for_each(|f| f.values += &labelled(line, name)),
            }
        }
    }
    let parts = families.into_iter().flat_map(|family| [family.head, family.values]);
    parts.chain([format!("{END}\n")]).collect()
}

const END: &str = "# EOF";

struct Family {
    name: String,
    head: String,
    values: String,
}

/// The metric of which a line tells help, type or unit.
fn described(line: &str) -> Option<&str> {
    line.strip_prefix("# ")?.split(' ').nth(1)
}

/// Where among the families this one is, new or old; a line of its head that is new comes to it.
fn find(families: &mut Vec<Family>, name: &str, line: &str) -> usize {
    let at = families.iter().position(|family| family.name == name).unwrap_or_else(|| {
        families.push(Family { name: name.to_owned(), head: String::new(), values: String::new() });
        families.len() - 1
    });
    if !families[at].head.lines().any(|known| known == line) {
        families[at].head += &format!("{line}\n");
    }
    at
}

/// A value, with its log as the first label. Names of logs need no escape: they are words.
fn labelled(line: &str, log: &str) -> String {
    let (metric, rest) = line.split_at(line.find(['{', ' ']).unwrap_or(line.len()));
    match rest.strip_prefix('{') {
        Some(labels) => format!("{metric}{{log=\"{log}\",{labels}\n"),
        None => format!("{metric}{{log=\"{log}\"}}{rest}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_its_head_once_and_its_values_together() {
        let text = |n: u32| {
            format!(
                "# HELP kiln_rounds Rounds, by outcome.\n# TYPE kiln_rounds counter\n\
                 kiln_rounds_total{{outcome=\"ok\"}} {n}\n\
                 # HELP kiln_ready 1 when ready.\n# TYPE kiln_ready gauge\nkiln_ready 1\n# EOF\n"
            )
        };
        let joined = joined([("a", text(1)), ("b", text(2))].into_iter());
        assert_eq!(
            joined,
            "# HELP kiln_rounds Rounds, by outcome.\n# TYPE kiln_rounds counter\n\
             kiln_rounds_total{log=\"a\",outcome=\"ok\"} 1\nkiln_rounds_total{log=\"b\",outcome=\"ok\"} 2\n\
             # HELP kiln_ready 1 when ready.\n# TYPE kiln_ready gauge\n\
             kiln_ready{log=\"a\"} 1\nkiln_ready{log=\"b\"} 1\n# EOF\n"
        );
    }

    #[test]
    fn no_log_is_no_metric() {
        assert_eq!(joined([].into_iter()), "# EOF\n");
    }
}
