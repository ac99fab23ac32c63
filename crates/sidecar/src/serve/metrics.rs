//! The sidecar in numbers: owns `metrics`, in the text of OpenMetrics, added up when it is asked for. No
//! label has the name of an entry but of flags that who asks may know of. It must not count.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hyper::Response;
use hyper::header::HeaderValue;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use strongroom_core::ambient::Timestamp;
use strongroom_core::name::EntryPath;
use strongroom_core::policy::Action;

use super::answer::{self, Refusal};
use super::body::Body;
use super::route::Route;
use super::service::Asked;
use crate::evaluated::Outcome;
use crate::grant::Question;
use crate::state::{Current, State};
use crate::tally::CLASSES;

const TYPE: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers with all numbers.
pub(super) fn metrics(
    asked: &Asked<'_>,
    state: &Arc<State>,
    question: &Question<'_>,
) -> Result<Response<Body>, Refusal> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page {
        state: Arc::clone(state),
        current: Arc::clone(asked.current),
        flags: evaluations(state, asked.current, question),
        now: state.now(),
    }));
    let mut text = String::with_capacity(16 * 1024);
    encode(&mut text, &registry).map_err(|_| Refusal::internal("the numbers could not be written"))?;
    let mut response = answer::ok(TYPE, Bytes::from(text));
    answer::name_revision(&mut response, asked.current.snapshot.revision(), asked.current);
    Ok(response)
}

/// Everything at one time.
#[derive(Debug)]
struct Page {
    state: Arc<State>,
    current: Arc<Current>,
    flags: Vec<(EntryPath, Vec<Outcome>)>,
    now: Timestamp,
}

/// How often the flags that who asks may know of were evaluated. One that is there no more is not shown: nobody
/// can say who might know of it.
fn evaluations(state: &State, current: &Current, question: &Question<'_>) -> Vec<(EntryPath, Vec<Outcome>)> {
    let evaluated = state.tallies.evaluated();
    let is_shown = |key: &EntryPath| {
        let entry = current.flags.entry(key.as_str());
        entry.is_some_and(|entry| question.allows(Action::Describe, &entry.flag))
    };
    let shown = evaluated.of(is_shown).into_iter();
    shown
        .map(|(key, outcomes)| (key.clone(), outcomes.to_vec()))
        .collect()
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut out = Out(encoder);
        self.process(&mut out)?;
        self.store(&mut out)?;
        self.socket(&mut out)?;
        self.audit(&mut out)?;
        self.deliveries(&mut out)?;
        self.evaluations(&mut out)?;
        self.rotations(&mut out)
    }
}

impl Page {
    fn process(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        let mut build = out.metric("strongroom_build", "The program", None, MetricType::Info)?;
        build.encode_info(&labels)?;
        let started = seconds(self.state.started().0);
        out.seconds("process_start_time", "When it started, since 1970", started)?;
        if let Some(resident) = resident() {
            let help = "Memory that it occupies";
            let mut metric = out.metric(
                "process_resident_memory",
                help,
                Some(&Unit::Bytes),
                MetricType::Gauge,
            )?;
            metric.encode_gauge(&resident)?;
        }
        let is_ready = self.state.is_ready();
        out.gauge(
            "strongroom_ready",
            "Whether everything that is injected was delivered once",
            is_ready,
        )
    }

    fn store(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let snapshot = &self.current.snapshot;
        out.gauge(
            "strongroom_revision",
            "The revision that is served",
            snapshot.revision().0,
        )?;
        let age = self.since(Some(snapshot.committed_at()));
        out.seconds(
            "strongroom_revision_age",
            "How long ago it was committed, by its author's clock",
            age,
        )?;
        let stale = self.current.stale_at;
        out.gauge(
            "strongroom_store_reachable",
            "Whether the store is within reach",
            stale.is_none(),
        )?;
        let help = "How long the store has been out of reach";
        out.seconds("strongroom_store_unreachable", help, self.since(stale))?;
        let help = "Whether the store's newest revision is refused";
        out.gauge("strongroom_store_refused", help, self.current.refused.is_some())?;
        let help = "How long the store's newest revision has been refused";
        out.seconds(
            "strongroom_store_refused_for",
            help,
            self.since(self.state.refused_at()),
        )
    }

    fn socket(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let tallies = &self.state.tallies;
        let help = "Requests that were answered, by route and class of status";
        let mut metric = out.metric("strongroom_requests", help, None, MetricType::Counter)?;
        for (place, route) in Route::places().enumerate() {
            for (class, count) in CLASSES.into_iter().zip(tallies.answers(place)) {
                counted(&mut metric, &[("route", route), ("class", class)], count)?;
            }
        }
        let (by_policy, strangers) = self.state.gate().denials();
        let help = "Denials: by policy, and to processes that may not ask at all";
        let mut metric = out.metric("strongroom_denials", help, None, MetricType::Counter)?;
        counted(&mut metric, &[("why", "policy")], by_policy)?;
        counted(&mut metric, &[("why", "stranger")], strangers)?;
        let (open, taken, refused) = tallies.connections();
        out.gauge("strongroom_connections", "Connections that are open", open as u64)?;
        out.counter(
            "strongroom_connections_accepted",
            "Connections that were accepted",
            taken,
        )?;
        let help = "Connections that were refused: too many, or it is not known whose";
        out.counter("strongroom_connections_refused", help, refused)?;
        let watchers = self.state.watchers.load(Ordering::Relaxed);
        out.gauge("strongroom_watchers", "Clients that watch", watchers)
    }

    fn audit(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let Some(sink) = self.state.gate().sink() else {
            return Ok(());
        };
        let figures = sink.figures();
        out.counter(
            "strongroom_audit_records",
            "Records in the audit log",
            figures.written,
        )?;
        let help = "Answers that were not given since they could not be recorded, and denials that were not recorded";
        out.counter("strongroom_audit_refused", help, figures.refused)?;
        let help = "Answers that wait to be recorded";
        out.gauge("strongroom_audit_waiting", help, figures.waiting as u64)?;
        let help = "Lines that syslog or standard output did not take";
        out.counter("strongroom_audit_dropped", help, figures.dropped)?;
        let trouble = sink.trouble();
        out.gauge(
            "strongroom_audit_writable",
            "Whether the audit log can be written",
            trouble.is_none(),
        )?;
        let help = "How long the audit log has not been written as it should";
        out.seconds(
            "strongroom_audit_trouble",
            help,
            self.since(trouble.map(|trouble| trouble.since)),
        )
    }

    fn deliveries(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let all = self.state.injections();
        let labels = |at: usize| {
            let shown = all.get(at).map(|one| &one.shown);
            let of = |text: Option<&String>| text.cloned().unwrap_or_default();
            [
                ("kind", of(shown.map(|one| &one.kind))),
                ("target", of(shown.map(|one| &one.target))),
            ]
        };
        let help = "The revision that was delivered last; 0 before the first";
        let mut metric = out.metric("strongroom_injection_revision", help, None, MetricType::Gauge)?;
        for (at, one) in all.iter().enumerate() {
            gauged(&mut metric, &labels(at), one.shown.revision.unwrap_or_default())?;
        }
        let help = "Whether the newest revision is kept away";
        let mut metric = out.metric("strongroom_injection_failing", help, None, MetricType::Gauge)?;
        for (at, one) in all.iter().enumerate() {
            gauged(&mut metric, &labels(at), u64::from(one.shown.problem.is_some()))?;
        }
        let help = "How often a delivery failed, its retries included";
        let mut metric = out.metric("strongroom_injection_failures", help, None, MetricType::Counter)?;
        for (at, one) in all.iter().enumerate() {
            counted(&mut metric, &labels(at), one.failures)?;
        }
        let is_reported = self.state.uptake().problem().is_none();
        let help = "Whether it is reported beside the store who uses which version";
        out.gauge("strongroom_uptake_reported", help, is_reported)
    }

    fn evaluations(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let help = "Evaluations of flags that who asks may know of, by variant and reason";
        let mut metric = out.metric("strongroom_flag_evaluations", help, None, MetricType::Counter)?;
        for (key, outcomes) in &self.flags {
            for Outcome {
                variant,
                reason,
                count,
            } in outcomes
            {
                let labels = [("flag", key.as_str()), ("variant", variant), ("reason", reason)];
                counted(&mut metric, &labels, *count)?;
            }
        }
        Ok(())
    }

    fn rotations(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let found = self.state.schedule().at(self.now);
        let help = "Secrets that are served, by how they stand with their rotations";
        let mut metric = out.metric("strongroom_rotations", help, None, MetricType::Gauge)?;
        for (state, count) in [
            ("running", found.running),
            ("left_behind", found.left),
            ("overdue", found.overdue),
            ("unknown", found.unknown),
        ] {
            gauged(&mut metric, &[("state", state)], count as u64)?;
        }
        Ok(())
    }

    /// Seconds from then to now; none when there is no such time.
    fn since(&self, then: Option<Timestamp>) -> f64 {
        then.map_or(0.0, |then| seconds(self.now.0.saturating_sub(then.0)))
    }
}

/// The text as far as it is written.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn metric<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        unit: Option<&'s Unit>,
        of: MetricType,
    ) -> Result<MetricEncoder<'s>, Error> {
        self.0.encode_descriptor(name, help, unit, of)
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Into<u64>) -> Result<(), Error> {
        let mut metric = self.metric(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&value.into())
    }

    fn seconds(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let mut metric = self.metric(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        metric.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        let mut metric = self.metric(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }
}

fn counted(metric: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, value: u64) -> Result<(), Error> {
    let mut one = metric.encode_family(labels)?;
    one.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

fn gauged(metric: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, value: u64) -> Result<(), Error> {
    metric.encode_family(labels)?.encode_gauge(&value)
}

/// Milliseconds as seconds.
fn seconds(milliseconds: u64) -> f64 {
    std::time::Duration::from_millis(milliseconds).as_secs_f64()
}

/// Bytes of memory that this process occupies.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kilobytes.checked_mul(1024)
}
