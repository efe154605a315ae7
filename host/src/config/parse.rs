//! YAML text to nodes: structure and positions by saphyr-parser, with limits on size, depth and aliases.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::error::{ConfigError, Place};
use super::node::{Content, Entry, Node};

/// A configuration is written by people; more than this is a mistake.
pub(crate) const MAX_BYTES: usize = 4 << 20;
/// Deeper than any schema, and shallow enough for recursion.
pub(crate) const MAX_DEPTH: usize = 64;
/// Aliases can multiply a small text into a huge one.
const MAX_NODES: usize = 200_000;
/// A text counts as one node more for each so many bytes, about what a node takes.
const BYTES_PER_NODE: usize = 64;

/// Reads one YAML document. No document at all is null.
///
/// # Errors
/// All that can be found at once: the first syntax error ends it, duplicate keys do not.
pub(crate) fn parse(text: &str, source: &Arc<str>) -> Result<Node, Vec<ConfigError>> {
    let start = Place { source: source.clone(), line: 1, column: 1 };
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes are too much for a configuration; the limit is {MAX_BYTES}", text.len());
        return Err(vec![ConfigError { place: Some(start), path: String::new(), message }]);
    }
    let mut builder = Builder {
        source: source.clone(),
        stack: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
        second: None,
        errors: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        let step =
            event.map_err(|error| builder.syntax_error(&error, text)).and_then(|(event, span)| builder.on(event, span));
        if let Err(error) = step {
            builder.errors.push(error);
            break;
        }
    }
    match builder.errors {
        errors if errors.is_empty() => Ok(builder.root.unwrap_or_else(|| Node::null(start))),
        errors => Err(errors),
    }
}

struct Builder {
    source: Arc<str>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
    /// Where a second document starts.
    second: Option<Place>,
    errors: Vec<ConfigError>,
}

/// A collection that is not finished.
struct Frame {
    place: Place,
    anchor: usize,
    /// Nodes that had been seen when it began.
    nodes_before: usize,
    kind: FrameKind,
}

enum FrameKind {
    Sequence(Vec<Node>),
    Mapping(Box<OpenMapping>),
}

/// A mapping that is not finished.
#[derive(Default)]
struct OpenMapping {
    entries: Vec<Entry>,
    /// The lines of the keys so far.
    lines: HashMap<String, usize>,
    /// A key that waits for its value: text, place, whether it was plain.
    key: Option<(String, Place, bool)>,
    /// Values of `<<`.
    merges: Vec<Node>,
}

type Step = Result<(), ConfigError>;

impl Builder {
    fn on(&mut self, event: Event<'_>, span: Span) -> Step {
        let place = self.place(&span.start);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                self.second = Some(place);
                Ok(())
            }
            // Tools that write several documents leave a `---` behind the last one.
            event if self.second.is_some() => self.in_second(&event),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = self.is_plain(style, tag.as_deref(), &place)?;
                let nodes = 1 + text.len() / BYTES_PER_NODE;
                self.count(nodes, &place)?;
                let node = Node::new(place, Content::Scalar { text: text.into_owned(), plain });
                self.anchor(anchor, &node, nodes);
                self.add(node)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "seq", &place)?;
                self.open(place, anchor, FrameKind::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "map", &place)?;
                self.open(place, anchor, FrameKind::Mapping(Box::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some((node, nodes)) = self.anchors.get(&anchor).cloned() else {
                    return Err(error(place, "this alias stands inside of what it refers to"));
                };
                self.count(nodes, &place)?;
                self.add(node)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    /// A document behind the configuration has to be empty.
    fn in_second(&mut self, event: &Event<'_>) -> Step {
        let is_content = match event {
            Event::Scalar(text, style, ..) => *style != ScalarStyle::Plain || !["", "~"].contains(&text.as_ref()),
            Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_) => true,
            _ => false,
        };
        match self.second.take_if(|_| is_content) {
            Some(place) => Err(error(place, "a second document (---) starts here; a configuration is one document")),
            None => Ok(()),
        }
    }

    fn open(&mut self, place: Place, anchor: usize, kind: FrameKind) -> Step {
        if self.stack.len() >= MAX_DEPTH {
            return Err(error(place, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let nodes_before = self.nodes;
        self.count(1, &place)?;
        self.stack.push(Frame { place, anchor, nodes_before, kind });
        Ok(())
    }

    fn close(&mut self) -> Step {
        let Some(Frame { place, anchor, nodes_before, kind }) = self.stack.pop() else { return Ok(()) };
        let content = match kind {
            FrameKind::Sequence(items) => Content::Sequence(items),
            FrameKind::Mapping(open) => {
                let OpenMapping { mut entries, merges, .. } = *open;
                for merged in merges {
                    merge_key(&mut entries, merged)?;
                }
                Content::Mapping(entries)
            }
        };
        let node = Node::new(place, content);
        self.anchor(anchor, &node, self.nodes - nodes_before);
        self.add(node)
    }

    /// Puts a finished node where it belongs: into the collection that is open, as key or value, or at the root.
    fn add(&mut self, node: Node) -> Step {
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.kind {
            FrameKind::Sequence(items) => items.push(node),
            FrameKind::Mapping(open) => match (open.key.take(), node.content) {
                (None, Content::Scalar { text, plain }) => open.key = Some((text, node.place, plain)),
                (None, _) => return Err(error(node.place, "a key must be a text")),
                (Some((key, _, true)), content) if key == "<<" => open.merges.push(Node { content, ..node }),
                (Some((key, key_place, _)), content) => {
                    if let Some(line) = open.lines.insert(key.clone(), key_place.line) {
                        let message = format!("duplicate key {key:?}; it stands in line {line} already");
                        self.errors.push(error(key_place, message));
                        return Ok(());
                    }
                    open.entries.push(Entry { key, key_place, value: Node { content, ..node } });
                }
            },
        }
        Ok(())
    }

    fn anchor(&mut self, anchor: usize, node: &Node, nodes: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), nodes));
        }
    }

    fn count(&mut self, nodes: usize, place: &Place) -> Step {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(error(
                place.clone(),
                format!("more than {MAX_NODES} values, aliases counted as what they stand for"),
            ));
        }
        Ok(())
    }

    /// Whether a scalar can be anything but text.
    fn is_plain(&self, style: ScalarStyle, tag: Option<&Tag>, place: &Place) -> Result<bool, ConfigError> {
        let Some(tag) = tag else { return Ok(style == ScalarStyle::Plain) };
        match tag.suffix.as_str() {
            "str" if tag.is_yaml_core_schema() => Ok(false),
            "null" | "bool" | "int" | "float" if tag.is_yaml_core_schema() => Ok(true),
            _ => Err(unknown_tag(place)),
        }
    }

    fn check_collection_tag(&self, tag: Option<&Tag>, core: &str, place: &Place) -> Step {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == core) => Err(unknown_tag(place)),
            _ => Ok(()),
        }
    }

    fn syntax_error(&self, scan: &ScanError, text: &str) -> ConfigError {
        let place = self.place(scan.marker());
        let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
        let indent = &line[..line.len() - line.trim_start().len()];
        let hint = if indent.contains('\t') {
            "; tabs can't indent in YAML, use spaces"
        } else if scan.info().starts_with("':' must be followed") {
            "; a space stands after the colon, not a tab"
        } else if scan.info().contains("quoted scalar") {
            "; is a quotation mark missing here, or in a line before?"
        } else {
            ""
        };
        error(place, format!("not valid YAML: {}{hint}", scan.info()))
    }

    fn place(&self, marker: &Marker) -> Place {
        Place { source: self.source.clone(), line: marker.line(), column: marker.col() + 1 }
    }
}

/// The tag is not shown: a password may start with an exclamation mark.
fn unknown_tag(place: &Place) -> ConfigError {
    error(place.clone(), "a tag (!...) has no meaning here; quote the value if it starts with !")
}

fn error(place: Place, message: impl Into<String>) -> ConfigError {
    ConfigError { place: Some(place), path: String::new(), message: message.into() }
}

/// `<<: *anchor`: takes over the keys that the map does not have itself.
fn merge_key(entries: &mut Vec<Entry>, merged: Node) -> Step {
    match merged.content {
        Content::Mapping(more) => {
            for entry in more {
                if !entries.iter().any(|own| own.key == entry.key) {
                    entries.push(entry);
                }
            }
            Ok(())
        }
        Content::Sequence(items) if items.iter().all(|item| matches!(item.content, Content::Mapping(_))) => {
            items.into_iter().try_for_each(|item| merge_key(entries, item))
        }
        Content::Scalar { .. } | Content::Sequence(_) => Err(error(merged.place, "<< needs a map or a list of maps")),
    }
}
