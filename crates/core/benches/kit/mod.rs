//! What every bench here shares: interleaved rounds, medians, and a table of ratios against a
//! limit measured in the same run.
#![allow(dead_code, unreachable_pub, clippy::print_stdout)]

use std::time::{Duration, Instant};

/// One line of the table: a figure beside its limit.
pub fn row(what: &str, limit: &str, ours: Duration, bare: Duration, reach: f64) {
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    let verdict = if ratio <= reach { "reached" } else { "MISSED" };
    // a third is shown as 0.33
    let reach = (reach * 100.0).round() / 100.0;
    println!(
        "| {what} | {} | {limit} | {} | {ratio:.2}x | at most {reach}x | {verdict} |",
        show(ours),
        show(bare)
    );
}

/// One line of the table for figures of which more is better: `each` is a count a second.
pub fn rate(what: &str, limit: &str, each: f64, bare: f64, reach: f64) {
    let ratio = each / bare;
    let verdict = if ratio >= reach { "reached" } else { "MISSED" };
    println!(
        "| {what} | {:.0} k/s | {limit} | {:.0} k/s | {ratio:.2}x | at least {reach}x | {verdict} |",
        each / 1e3,
        bare / 1e3
    );
}

/// One line that explains another: nothing is to be reached.
pub fn note(what: &str, limit: &str, ours: Duration, bare: Duration) {
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    println!(
        "| {what} | {} | {limit} | {} | {ratio:.2}x | - | |",
        show(ours),
        show(bare)
    );
}

/// One line without a limit to compare with.
pub fn line(what: &str, figure: &str, reach: &str, reached: bool) {
    let verdict = if reached { "reached" } else { "MISSED" };
    println!("| {what} | {figure} | - | - | - | {reach} | {verdict} |");
}

/// The head of the table.
pub fn head(title: &str) {
    println!("\n### {title}\n");
    println!("| what | figure | limit | its figure | ratio | to reach | |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
}

pub fn show(time: Duration) -> String {
    let nanos = time.as_nanos();
    match nanos {
        0..10_000 => format!("{nanos} ns"),
        10_000..10_000_000 => format!("{:.1} µs", time.as_secs_f64() * 1e6),
        _ => format!("{:.1} ms", time.as_secs_f64() * 1e3),
    }
}

/// The medians of `rounds` rounds in which both are run in turn, so that a noisy moment strikes
/// both.
pub fn pair(
    rounds: usize,
    mut ours: impl FnMut() -> Duration,
    mut bare: impl FnMut() -> Duration,
) -> (Duration, Duration) {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        one.push(ours());
        other.push(bare());
    }
    (percentile(&mut one, 50), percentile(&mut other, 50))
}

/// Time per call of `f`, over `calls` calls.
pub fn per_call(calls: u32, mut f: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        f();
    }
    start.elapsed() / calls
}

pub fn time(f: impl FnOnce()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}

pub fn percentile(samples: &mut [Duration], percent: usize) -> Duration {
    samples.sort_unstable();
    let at = (samples.len() * percent / 100).min(samples.len().saturating_sub(1));
    samples.get(at).copied().unwrap_or_default()
}

/// Resident memory of this process, bytes.
pub fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4096
}
