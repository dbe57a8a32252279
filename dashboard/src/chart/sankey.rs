//! How an amount flows from a first column over a second to a third. The greatest of each column are shown, the others
//! are one node, so that it stays readable whatever comes.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::axis::WIDTHS;
use super::frame::{self, Caption, Figure, Row, n, pct};
use super::ink::Ink;
use super::scale::positive;
use super::unit::Unit;
use crate::show::{self, Markup};
use crate::words::{t, tf};

/// An amount on its way: the names of its three stations.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    pub path: [String; 3],
    pub value: f64,
    pub href: String,
}

/// Nodes of a column, the one for the others not counted.
const NODES_MAX: usize = 7;
/// Rows of the table: the greatest flows.
const ROWS_MAX: usize = 200;
/// Height of all flows together; to it comes a line of text for each node.
const FLOW_PX: f64 = 170.0;
const TEXT_PX: f64 = 17.0;
const NODE_GAP: f64 = 5.0;
/// A node's width as a share of the drawing's.
const NODE: f64 = 0.02;

struct Node {
    name: String,
    value: f64,
    /// Upper edge of its bar, and how far flows fill it on its left and right.
    top: f64,
    filled: [f64; 2],
}

pub fn sankey(caption: Caption<'_>, columns: [&str; 3], unit: Unit<'_>, flows: &[Flow]) -> Markup {
    let mut flows: Vec<&Flow> = flows.iter().filter(|flow| positive(flow.value) > 0.0).collect();
    flows.sort_by(|a, b| b.value.total_cmp(&a.value));
    // Shares of the greatest first: a sum of the greatest numbers would be none.
    let greatest = flows.first().map_or(1.0, |flow| positive(flow.value));
    let total: f64 = flows.iter().map(|flow| positive(flow.value) / greatest).sum();
    if flows.is_empty() {
        return frame::empty(caption, "sankey");
    }
    let share = |flow: &Flow| positive(flow.value) / greatest / total;
    let mut nodes: [Vec<Node>; 3] = [0, 1, 2].map(|column| nodes(&flows, column, &share));
    let height = nodes.iter().map(|column| FLOW_PX + (TEXT_PX + NODE_GAP) * column.len() as f64).fold(0.0, f64::max);
    for column in &mut nodes {
        let mut y = 0.0;
        for node in column {
            node.top = y + TEXT_PX;
            y += TEXT_PX + NODE_GAP + node.value * FLOW_PX;
        }
    }
    let mut out = String::new();
    frame::open_stretched(&mut out, height);
    for gap in 0..2 {
        links(&mut out, &flows, &mut nodes, gap, &share, (unit, total * greatest));
    }
    out.push_str("</svg>");
    let id = frame::id(caption);
    for (column, x) in nodes.iter().zip([0.0, 0.5 - NODE / 2.0, 1.0 - NODE]) {
        for node in column {
            draw_node(&mut out, node, x, &id, &unit.full(node.value * total * greatest));
        }
    }
    let first = flows.first().map(|flow| flow.path.join(" → ")).unwrap_or_default();
    let most = flows.first().map_or(0.0, |flow| flow.value);
    let gist = tf(
        "{n} Wege, zusammen {sum}; der größte: {path} mit {value}.",
        &[("n", &show::num(flows.len() as i128)), ("sum", &unit.full(total * greatest)), ("path", &first), ("value", &unit.full(most))],
    );
    let mut figure = Figure::new(caption, "sankey", gist, (out, height));
    figure.inks = vec![Ink::Act];
    figure.note = frame::note(&unit.value(total * greatest), unit);
    if flows.len() > ROWS_MAX {
        figure.note = format!("{} · {}", figure.note, tf("Die Tabelle zeigt die {n} größten Wege.", &[("n", &ROWS_MAX)]));
    }
    figure.head = columns.iter().map(|column| (*column).to_owned()).chain([unit.name().to_owned()]).collect();
    let row = |flow: &&Flow| Row { cells: flow.path.iter().cloned().chain([unit.value(flow.value)]).collect(), href: flow.href.clone() };
    figure.rows = flows.iter().take(ROWS_MAX).map(row).collect();
    figure.render()
}

/// The greatest of a column by their share, the others as one at the end.
fn nodes(flows: &[&Flow], column: usize, share: &impl Fn(&Flow) -> f64) -> Vec<Node> {
    let mut sums: HashMap<&str, f64> = HashMap::new();
    for flow in flows {
        *sums.entry(station(flow, column)).or_default() += share(flow);
    }
    let mut sums: Vec<(&str, f64)> = sums.into_iter().collect();
    sums.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let others: f64 = sums.iter().skip(NODES_MAX).map(|sum| sum.1).sum();
    let others = (sums.len() > NODES_MAX).then(|| (t("Übrige").to_owned(), others));
    let kept = sums.iter().take(NODES_MAX).map(|(name, value)| ((*name).to_owned(), *value));
    kept.chain(others).map(|(name, value)| Node { name, value, top: 0.0, filled: [0.0; 2] }).collect()
}

fn station(flow: &Flow, column: usize) -> &str {
    flow.path.get(column).map_or("", String::as_str)
}

/// The place of a name in its column; what has no node of its own is the last one's.
fn place(nodes: &[Node], name: &str) -> usize {
    nodes.iter().take(NODES_MAX).position(|node| node.name == name).unwrap_or(nodes.len().saturating_sub(1))
}

/// The bands between two columns, one for each pair of nodes.
fn links(
    out: &mut String,
    flows: &[&Flow],
    nodes: &mut [Vec<Node>; 3],
    gap: usize,
    share: &impl Fn(&Flow) -> f64,
    (unit, sum): (Unit<'_>, f64),
) {
    let [first, second, third] = nodes;
    let (left, right) = if gap == 0 { (first, second) } else { (second, third) };
    let mut pairs: HashMap<(usize, usize), f64> = HashMap::new();
    for flow in flows {
        *pairs.entry((place(left, station(flow, gap)), place(right, station(flow, gap + 1)))).or_default() += share(flow);
    }
    let mut pairs: Vec<((usize, usize), f64)> = pairs.into_iter().collect();
    // From the top down, so that bands cross as little as they can.
    pairs.sort_by_key(|pair| pair.0);
    let (from, to) = if gap == 0 { (NODE, 0.5 - NODE / 2.0) } else { (0.5 + NODE / 2.0, 1.0 - NODE) };
    let (x1, x2, middle) = (from * 1_000.0, to * 1_000.0, (from + to) * 500.0);
    for ((a, b), value) in pairs {
        let (Some(a), Some(b)) = (left.get_mut(a), right.get_mut(b)) else { continue };
        let ([_, used], [taken, _]) = (&mut a.filled, &mut b.filled);
        let (y1, y2, thick) = (a.top + *used, b.top + *taken, value * FLOW_PX);
        (*used, *taken) = (*used + thick, *taken + thick);
        frame::open_part(out, "", &format!("{} → {}: {}", a.name, b.name, unit.full(value * sum)));
        let _ = write!(
            out,
            "<path class=\"flow\" d=\"M{0} {2}C{4} {2} {4} {3} {1} {3}V{6}C{4} {6} {4} {5} {0} {5}Z\"/></g>",
            n(x1),
            n(x2),
            n(y1),
            n(y2),
            n(middle),
            n(y1 + thick.max(0.6)),
            n(y2 + thick.max(0.6))
        );
    }
}

fn draw_node(out: &mut String, node: &Node, x: f64, id: &str, value: &str) {
    frame::open_part(out, "", &format!("{}: {value}", node.name));
    let _ = write!(
        out,
        "<rect class=\"area\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>",
        pct(x),
        n(node.top),
        pct(NODE),
        n((node.value * FLOW_PX).max(1.0)),
        Ink::Act.fill(id)
    );
    let (at, anchor) = match x {
        x if x < 0.1 => ("0%", "start"),
        x if x > 0.6 => ("100%", "end"),
        _ => ("50%", "middle"),
    };
    let place = format!("class=\"name\" x=\"{at}\" y=\"{}\" text-anchor=\"{anchor}\"", n(node.top - 4.0));
    // A third of the width each; the letters are a little larger than an axis'.
    frame::cut_text(out, &place, &node.name, WIDTHS.map(|width| width / 3.0 / 1.15 - 4.0));
    out.push_str("</g>");
}
