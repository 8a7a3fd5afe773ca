//! From single reports to the table and the JSON.

use dunlin_load::report::{LatencyReport, Report};
use serde_json::{Value, json};

use super::options::Options;
use super::works::{Figure, Work};
use super::{Sides, server};

/// All rounds of one workload.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    title: &'static str,
    figure: Figure,
    goal: Option<f64>,
    /// Pairs of the same round: reference, Dunlin.
    rounds: Vec<(Report, Report)>,
    /// Why rounds are missing.
    errors: Vec<String>,
}

impl Row {
    pub(super) fn new(work: &Work) -> Row {
        let Work {
            name,
            title,
            figure,
            goal,
            ..
        } = *work;
        Row {
            name,
            title,
            figure,
            goal,
            rounds: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Adds a round: the reference's report and Dunlin's. Half a pair is no comparison.
    pub(super) fn add(&mut self, pair: (Result<Report, String>, Result<Report, String>)) {
        match pair {
            (Ok(reference), Ok(dunlin)) => self.rounds.push((reference, dunlin)),
            (reference, dunlin) => {
                self.errors
                    .extend(reference.err().map(|error| format!("reference: {error}")));
                self.errors
                    .extend(dunlin.err().map(|error| format!("Dunlin: {error}")));
            }
        }
    }

    pub(super) fn failed(&self) -> bool {
        !self.errors.is_empty()
    }

    fn side(&self, dunlin: bool) -> Vec<&Report> {
        self.rounds
            .iter()
            .map(|(reference, ours)| if dunlin { ours } else { reference })
            .collect()
    }

    fn figure(&self, report: &Report) -> Option<f64> {
        match self.figure {
            Figure::Cpu => report.server_cpu_us,
            Figure::Start => Some(report.seconds * 1e6),
            Figure::Memory | Figure::Size => report.bytes,
            Figure::Rate => Some(report.per_second),
            Figure::Median => report.latency.map(|latency| latency.p50),
            Figure::Tail => report.latency.map(|latency| latency.p99),
        }
    }

    fn median_figure(&self, dunlin: bool) -> Option<f64> {
        median(
            self.side(dunlin)
                .into_iter()
                .filter_map(|report| self.figure(report)),
        )
    }

    /// Dunlin's median over the reference's.
    fn ratio(&self) -> Option<f64> {
        Some(self.median_figure(true)? / self.median_figure(false)?).filter(|ratio: &f64| ratio.is_finite())
    }

    /// The ratios of the single rounds, lowest first.
    fn ratios(&self) -> Vec<f64> {
        let one =
            |(reference, dunlin): &(Report, Report)| Some(self.figure(dunlin)? / self.figure(reference)?);
        let mut all: Vec<f64> = self
            .rounds
            .iter()
            .filter_map(one)
            .filter(|ratio| ratio.is_finite())
            .collect();
        all.sort_by(f64::total_cmp);
        all
    }

    /// The generator was at work nearly all the time, so a faster server could not have shown it.
    fn generator_busy(&self, dunlin: bool) -> bool {
        let busy = self
            .side(dunlin)
            .into_iter()
            .map(|report| report.load_cpu_us * report.per_second / 1e6);
        median(busy).is_some_and(|share| share > 0.85)
    }

    fn verdict(&self) -> Option<&'static str> {
        match (self.goal, self.ratio()) {
            (Some(goal), Some(ratio)) => {
                let is_good = if self.figure.more_is_better() {
                    ratio >= goal
                } else {
                    ratio <= goal
                };
                Some(if is_good { "ok" } else { "missed" })
            }
            (Some(_), None) => Some("not measured"),
            (None, _) => None,
        }
    }

    fn markdown(&self) -> String {
        let figure = |dunlin| {
            self.median_figure(dunlin)
                .map_or("-".to_owned(), |value| amount(self.figure, value))
        };
        let rate = |dunlin| {
            let rates = self.side(dunlin).into_iter().map(|report| report.per_second);
            let limited = if self.generator_busy(dunlin) { "*" } else { "" };
            median(rates)
                .filter(|rate| *rate > 0.0)
                .map_or("-".to_owned(), |rate| thousands(rate) + limited)
        };
        let latency = |dunlin| {
            let pick = |which: fn(&LatencyReport) -> f64| {
                median(
                    self.side(dunlin)
                        .into_iter()
                        .filter_map(|report| report.latency.as_ref().map(which)),
                )
            };
            match (pick(|latency| latency.p50), pick(|latency| latency.p99)) {
                (Some(p50), Some(p99)) => format!("{p50:.0} / {p99:.0}"),
                _ => "-".to_owned(),
            }
        };
        let ratios = self.ratios();
        let range = match (ratios.first(), ratios.last()) {
            (Some(low), Some(high)) => format!("{low:.2}–{high:.2}"),
            _ => "-".to_owned(),
        };
        let ratio = self.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let goal = match (self.goal, self.verdict()) {
            (Some(goal), Some(verdict)) => {
                let sign = if self.figure.more_is_better() {
                    '≥'
                } else {
                    '≤'
                };
                format!("{sign} {goal:.2} {verdict}")
            }
            _ => "-".to_owned(),
        };
        let title = self.title;
        let (cost_ref, cost, rate_ref, rate_own) = (figure(false), figure(true), rate(false), rate(true));
        let (time_ref, time_own) = (latency(false), latency(true));
        format!(
            "| {title} | {cost_ref} | {cost} | **{ratio}** | {range} | {rate_ref} | {rate_own} | {time_ref} | {time_own} | {goal} |"
        )
    }
}

/// The whole table, then what failed.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut lines = vec![
        "| work | cost, reference | cost, Dunlin | ratio | of rounds | per second, reference | per second, Dunlin | p50 / p99 µs, reference | p50 / p99 µs, Dunlin | goal |".to_owned(),
        "|---|---|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(rows.iter().map(Row::markdown));
    if rows
        .iter()
        .any(|row| row.generator_busy(false) || row.generator_busy(true))
    {
        lines.push("\n\\* The generator was busy all the time: the server could have done more.".to_owned());
    }
    for row in rows {
        lines.extend(row.errors.iter().map(|error| format!("\n{}: {error}", row.name)));
    }
    lines.join("\n")
}

/// Everything, with all single reports.
pub(super) fn json(options: &Options, sides: &Sides, rows: &[Row]) -> Value {
    let works: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "name": row.name,
                "title": row.title,
                "figure": unit(row.figure),
                "goal": row.goal,
                "ratio": row.ratio(),
                "ratios": row.ratios(),
                "verdict": row.verdict(),
                "reference": row.side(false),
                "dunlin": row.side(true),
                "errors": row.errors,
            })
        })
        .collect();
    json!({
        "dunlin": server::version(&sides.dunlin).ok(),
        "reference": server::version(&sides.reference).ok(),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "generator": if options.nats_bench { "nats bench" } else { "dunlin-load" },
        "works": works,
    })
}

/// The middle value, or the mean of the two in the middle.
fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    sorted
        .get(sorted.len() / 2 - 1)
        .map(|lower| f64::midpoint(*lower, upper))
}

/// What the JSON calls a figure.
fn unit(figure: Figure) -> &'static str {
    match figure {
        Figure::Cpu => "server_cpu_us",
        Figure::Memory => "bytes",
        Figure::Rate => "per_second",
        Figure::Median => "p50_us",
        Figure::Tail => "p99_us",
        Figure::Start => "start_us",
        Figure::Size => "program_bytes",
    }
}

fn amount(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Rate => format!("{}/s", thousands(value)),
        Figure::Median | Figure::Tail => format!("{value:.0} µs"),
        Figure::Start => format!("{:.1} ms", value / 1000.0),
        Figure::Size => format!("{:.1} MiB", value / 1_048_576.0),
        Figure::Cpu if value >= 10.0 => format!("{value:.1} µs"),
        Figure::Cpu => format!("{value:.3} µs"),
        Figure::Memory if value >= 2048.0 => format!("{:.1} KiB", value / 1024.0),
        Figure::Memory => format!("{value:.0} B"),
    }
}

/// A whole number with its digits in groups.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(cpu: f64) -> Report {
        Report {
            work: "pub".to_owned(),
            unit: "message".to_owned(),
            count: 10,
            seconds: 1.0,
            per_second: 1_234_567.0,
            server_cpu_us: Some(cpu),
            load_cpu_us: 0.1,
            latency: None,
            bytes: None,
        }
    }

    fn row(goal: f64, rounds: &[(f64, f64)]) -> Row {
        let mut row = Row::new(&Work {
            goal: Some(goal),
            ..Work::other("n", "title")
        });
        for (reference, dunlin) in rounds {
            row.add((Ok(report(*reference)), Ok(report(*dunlin))));
        }
        row
    }

    #[test]
    fn ratio_is_that_of_the_medians_and_decides_the_goal() {
        let rounds = [(1.0, 0.1), (2.0, 0.2), (4.0, 2.0)];
        assert_eq!(row(0.1, &rounds).ratio(), Some(0.1));
        assert_eq!(row(0.1, &rounds).verdict(), Some("ok"));
        assert_eq!(row(0.09, &rounds).verdict(), Some("missed"));
        assert_eq!(row(0.09, &[]).verdict(), Some("not measured"));
        let line = row(0.1, &rounds).markdown();
        assert_eq!(
            line,
            "| title | 2.000 µs | 0.200 µs | **0.10** | 0.10–0.50 | 1,234,567 | 1,234,567 | - | - | ≤ 0.10 ok |"
        );
    }

    #[test]
    fn rate_that_the_generator_limited_is_marked() {
        let mut row = row(0.1, &[]);
        let limited = Report {
            per_second: 1e6,
            load_cpu_us: 0.9,
            ..report(0.1)
        };
        row.add((Ok(report(1.0)), Ok(limited)));
        let line = row.markdown();
        assert!(line.contains("| 1,234,567 | 1,000,000* |"), "{line}");
        assert!(markdown(&[row]).contains("generator was busy"));
    }

    #[test]
    fn half_a_pair_is_an_error_and_no_round() {
        let mut row = row(0.1, &[]);
        row.add((Ok(report(1.0)), Err("gone".to_owned())));
        assert!(row.failed() && row.rounds.is_empty());
        assert!(markdown(&[row]).ends_with("\nn: Dunlin: gone"));
    }

    #[test]
    fn median_of_an_even_number_is_between() {
        assert_eq!(median([4.0, 1.0]), Some(2.5));
        assert_eq!(median([]), None);
    }
}
