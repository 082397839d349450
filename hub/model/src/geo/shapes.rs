//! Many shapes with an index: which one holds a place, and which edge is nearest.
//!
//! The index is an R-tree packed once by sort-tile-recursive order (Leutenegger et al. 1997): boxes
//! of eight shapes, boxes of eight boxes, up to one.

use super::{Bounds, Plane, Point, Shape};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;

const FANOUT: usize = 8;

/// Shapes in a given order, with an index over them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Shape>", into = "Vec<Shape>")]
pub struct Shapes {
    shapes: Vec<Shape>,
    /// Numbers of the shapes in the order of the lowest boxes.
    packed: Vec<usize>,
    /// From the lowest level to the one box around everything, which is the last.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    bounds: Bounds,
    /// Of `packed` at the lowest level, of `nodes` above it.
    children: Range<usize>,
    is_lowest: bool,
}

impl PartialEq for Shapes {
    fn eq(&self, other: &Self) -> bool {
        self.shapes == other.shapes
    }
}

impl From<Vec<Shape>> for Shapes {
    fn from(shapes: Vec<Shape>) -> Self {
        Self::new(shapes)
    }
}

impl From<Shapes> for Vec<Shape> {
    fn from(shapes: Shapes) -> Self {
        shapes.shapes
    }
}

/// A node or shape that waits to be looked at, the nearest first.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Waiting {
    at_least_m: f64,
    what: What,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Node(usize),
    Shape(usize),
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    /// The heap gives the greatest first: the nearest; a box before a shape, since a shape in it may
    /// be as near and come first; then the first shape.
    fn cmp(&self, other: &Self) -> Ordering {
        let nearer = other.at_least_m.total_cmp(&self.at_least_m);
        nearer.then_with(|| other.what.cmp(&self.what))
    }
}

impl Shapes {
    pub fn new(shapes: Vec<Shape>) -> Self {
        let bounds: Vec<Bounds> = shapes.iter().map(|shape| shape.form.bounds()).collect();
        let packed = pack(&bounds);
        let nodes = build(&bounds, &packed);
        Self {
            shapes,
            packed,
            nodes,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Shape> {
        self.shapes.iter()
    }

    /// Finds the first shape that holds a place.
    pub fn find(&self, point: Point) -> Option<&Shape> {
        let mut first: Option<usize> = None;
        let mut waiting: Vec<&Node> = self.nodes.last().into_iter().collect();
        while let Some(node) = waiting.pop() {
            if !node.bounds.holds(point) {
                continue;
            }
            if !node.is_lowest {
                waiting.extend(self.nodes.get(node.children.clone()).into_iter().flatten());
                continue;
            }
            for number in self.packed.get(node.children.clone()).into_iter().flatten() {
                let comes_first = first.is_none_or(|first| *number < first);
                let shape = self.shapes.get(*number);
                if comes_first && shape.is_some_and(|shape| shape.form.holds(point)) {
                    first = Some(*number);
                }
            }
        }
        self.shapes.get(first?)
    }

    /// Finds the shape in which a place lies deepest or, when it lies in none, the one whose edge is
    /// nearest, with the metres to that edge: negative inside.
    pub fn nearest(&self, point: Point) -> Option<(f64, &Shape)> {
        let plane = Plane::at(point);
        let mut waiting = BinaryHeap::new();
        waiting.extend(self.nodes.len().checked_sub(1).map(|root| Waiting {
            at_least_m: f64::NEG_INFINITY,
            what: What::Node(root),
        }));
        while let Some(Waiting { at_least_m, what }) = waiting.pop() {
            let number = match what {
                What::Shape(number) => return Some((at_least_m, self.shapes.get(number)?)),
                What::Node(number) => number,
            };
            let node = self.nodes.get(number)?;
            if node.is_lowest {
                let numbers = self.packed.get(node.children.clone()).into_iter().flatten();
                waiting.extend(numbers.filter_map(|number| {
                    let shape = self.shapes.get(*number)?;
                    Some(Waiting {
                        at_least_m: shape.form.signed_distance_m(&plane),
                        what: What::Shape(*number),
                    })
                }));
            } else {
                waiting.extend(node.children.clone().filter_map(|number| {
                    let bounds = &self.nodes.get(number)?.bounds;
                    Some(Waiting {
                        at_least_m: plane.signed_distance_to_box(bounds),
                        what: What::Node(number),
                    })
                }));
            }
        }
        None
    }
}

/// Orders the boxes so that eight in a row lie close together: slices from west to east, each
/// ordered from south to north.
fn pack(bounds: &[Bounds]) -> Vec<usize> {
    let middle = |number: &usize| {
        bounds.get(*number).map_or((0, 0), |b| {
            (
                i64::from(b.west) + i64::from(b.east),
                i64::from(b.south) + i64::from(b.north),
            )
        })
    };
    let mut packed: Vec<usize> = (0..bounds.len()).collect();
    packed.sort_by_key(|number| middle(number).0);
    let lowest = bounds.len().div_ceil(FANOUT);
    let slices = lowest.isqrt().max(1);
    let slice_len = lowest.div_ceil(slices).max(1) * FANOUT;
    for slice in packed.chunks_mut(slice_len) {
        slice.sort_by_key(|number| middle(number).1);
    }
    packed
}

fn build(bounds: &[Bounds], packed: &[usize]) -> Vec<Node> {
    let around = |numbers: &[usize]| {
        let boxes = numbers.iter().filter_map(|number| bounds.get(*number));
        boxes.fold(Bounds::EMPTY, |whole, one| whole.join(*one))
    };
    let mut nodes: Vec<Node> = packed
        .chunks(FANOUT)
        .enumerate()
        .map(|(index, numbers)| Node {
            bounds: around(numbers),
            children: index * FANOUT..index * FANOUT + numbers.len(),
            is_lowest: true,
        })
        .collect();
    let mut level = 0..nodes.len();
    while level.len() > 1 {
        let above: Vec<Node> = level
            .clone()
            .step_by(FANOUT)
            .map(|start| {
                let children = start..level.end.min(start + FANOUT);
                let boxes = nodes.get(children.clone()).into_iter().flatten();
                Node {
                    bounds: boxes.fold(Bounds::EMPTY, |whole, one| whole.join(one.bounds)),
                    children,
                    is_lowest: false,
                }
            })
            .collect();
        nodes.extend(above);
        level = level.end..nodes.len();
    }
    nodes
}
