//! The two text formats of metrics: OpenMetrics 1.0.0, which prometheus-client writes, and the older text of
//! Prometheus, 0.0.4, which every scraper reads.

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// [Prometheus text, 0.0.4](https://prometheus.io/docs/instrumenting/exposition_formats/).
    Text,
    /// [OpenMetrics 1.0.0](https://prometheus.io/docs/specs/om/open_metrics_spec/).
    OpenMetrics,
}

impl Format {
    /// The media type of a response in this format.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The metrics that an OpenMetrics text has, in this format.
    pub(super) fn of(self, open_metrics: String) -> String {
        match self {
            Self::Text => to_text(&open_metrics),
            Self::OpenMetrics => open_metrics,
        }
    }
}

/// In the older text, a counter's type and help are those of its samples, whose name ends in `_total`. There are no
/// units, and no mark of the end.
fn to_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take() {
                text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            text.extend([line, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_as_their_samples() {
        let open_metrics = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n\
                            # UNIT a_seconds seconds\na_seconds_total{b=\"# c\"} 1.5\n\
                            # HELP d How many.\n# TYPE d gauge\nd 2\n# EOF\n";
        let expected = "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\n\
                        a_seconds_total{b=\"# c\"} 1.5\n# HELP d How many.\n# TYPE d gauge\nd 2\n";
        assert_eq!(Format::Text.of(open_metrics.to_owned()), expected);
        assert_eq!(Format::OpenMetrics.of(open_metrics.to_owned()), open_metrics);
    }
}
