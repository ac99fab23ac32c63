//! Preparing operators when they are read: owns the buckets of `fractional` and the literals of `sem_ver`, and
//! what their schema forbids. It must not evaluate.

use serde_json::Value;

use super::args::Args;
use super::node::Node;
use super::parse::Reader;
use super::split::{MAX_WEIGHTS, Split, whole_weight};
use super::version;

/// Notes an operator that there is not, and a literal that is no version.
pub(super) fn version(args: &Args, reader: &mut Reader<'_>) {
    let Args::Each(nodes) = args else { return };
    if let Some(Node::Literal(operator)) = nodes.get(1)
        && !operator
            .as_str()
            .is_some_and(|operator| version::OPERATORS.contains(&operator))
    {
        reader.fault("the operator is one of = != < <= > >= ^ ~");
    }
    if let Some(Node::Literal(Value::String(literal))) = nodes.get(2)
        && version::parse(literal).is_none()
    {
        reader.fault("what is compared with is no version, such as 1.2.0");
    }
}

/// A `fractional` with everything known of it worked out.
pub(super) fn split(args: Args, reader: &mut Reader<'_>) -> Split {
    let nodes = match args {
        Args::Each(nodes) => nodes,
        one @ Args::One(_) => return Split::Open(one),
    };
    let has_key = !nodes.first().is_some_and(is_list);
    let buckets = nodes.get(usize::from(has_key)..).unwrap_or_default();
    if buckets.is_empty() {
        reader.fault("it has no buckets");
    }
    let mut total = 0;
    let mut fixed = Vec::with_capacity(buckets.len());
    let mut wrong = None;
    for bucket in buckets {
        match read(bucket) {
            Bucket::Fixed(variant, weight) => {
                total += u64::from(weight);
                fixed.push((Node::Literal(variant), weight));
            }
            Bucket::Open => {}
            Bucket::Wrong(problem) => wrong = wrong.or(Some(problem)),
        }
    }
    if total > MAX_WEIGHTS {
        wrong = wrong.or(Some("the weights add up to more than 2147483647"));
    }
    if let Some(wrong) = wrong {
        reader.fault(wrong);
    }
    if fixed.len() != buckets.len() || buckets.is_empty() || total > MAX_WEIGHTS {
        return Split::Open(Args::Each(nodes));
    }
    let key = has_key.then(|| nodes.into_iter().next()).flatten();
    let entries = fixed.into();
    Split::Fixed { key, entries, total }
}

fn is_list(node: &Node) -> bool {
    matches!(node, Node::List(_) | Node::Literal(Value::Array(_)))
}

enum Bucket {
    /// A literal variant and a literal weight.
    Fixed(Value, u32),
    /// A rule decides.
    Open,
    /// It is none, so that the whole operator gives null.
    Wrong(&'static str),
}

fn read(bucket: &Node) -> Bucket {
    const SHAPE: &str = "a bucket is a list of a variant and perhaps a weight";
    const WEIGHT: &str = "a weight is a whole number of at most 2147483647";
    match bucket {
        Node::Literal(Value::Array(items)) => {
            let (variant, weight) = match items.as_slice() {
                [variant] => (variant, Some(1)),
                [variant, Value::Number(weight)] => (variant, weight.as_f64().and_then(whole_weight)),
                [variant, _] => (variant, None),
                _ => return Bucket::Wrong(SHAPE),
            };
            match (variant, weight) {
                (Value::Array(_) | Value::Object(_), _) => Bucket::Wrong(SHAPE),
                (_, None) => Bucket::Wrong(WEIGHT),
                (variant, Some(weight)) => Bucket::Fixed(variant.clone(), weight),
            }
        }
        Node::List(items) if !(1..=2).contains(&items.len()) => Bucket::Wrong(SHAPE),
        Node::Literal(_) => Bucket::Wrong(SHAPE),
        _ => Bucket::Open,
    }
}
