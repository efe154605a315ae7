//! Requests as bytes: all messages of the protocol with everything that an encoder may do to them.

use sluice_wire::Signal;

use crate::dice::Dice;

/// What a field of the protocol holds.
#[derive(Clone, Copy)]
pub(crate) enum Holds {
    Varint,
    Small,
    Truth,
    Fixed64,
    Double,
    Fixed32,
    Text,
    Key,
    /// Of so many bytes, or empty.
    Id(usize),
    Bytes,
    Fixed64s,
    Doubles,
    Varints,
    One(Message),
    Many(Message),
}

/// A message of the protocol.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Message {
    Request(Signal),
    Resources(Signal),
    Scopes(Signal),
    Resource,
    Scope,
    EntityRef,
    Pair,
    Value,
    Array,
    Map,
    Span,
    Event,
    Link,
    Status,
    Record,
    Metric,
    Gauge,
    Sum,
    Histogram,
    Exponential,
    Summary,
    NumberPoint,
    HistogramPoint,
    ExponentialPoint,
    SummaryPoint,
    Exemplar,
    Buckets,
    Quantile,
}

/// What stood for scopes beside a resource until 2022.
pub(crate) const REMOVED: u32 = 1000;

use Holds::*;

/// The fields of a message.
pub(crate) fn fields(message: Message) -> Vec<(u32, Holds)> {
    match message {
        Message::Request(signal) => vec![(1, Many(Message::Resources(signal)))],
        Message::Resources(signal) => vec![(1, One(Message::Resource)), (2, Many(Message::Scopes(signal))), (3, Text)],
        Message::Scopes(signal) => {
            let child = match signal {
                Signal::Traces => Message::Span,
                Signal::Metrics => Message::Metric,
                Signal::Logs => Message::Record,
            };
            vec![(1, One(Message::Scope)), (2, Many(child)), (3, Text)]
        }
        Message::Resource => vec![(1, Many(Message::Pair)), (2, Small), (3, Many(Message::EntityRef))],
        Message::Scope => vec![(1, Text), (2, Text), (3, Many(Message::Pair)), (4, Small)],
        Message::EntityRef => vec![(1, Text), (2, Text), (3, Text), (4, Text)],
        Message::Pair => vec![(1, Key), (2, One(Message::Value)), (3, Small)],
        Message::Value => vec![
            (1, Text),
            (2, Truth),
            (3, Varint),
            (4, Double),
            (5, One(Message::Array)),
            (6, One(Message::Map)),
            (7, Bytes),
            (8, Small),
        ],
        Message::Array => vec![(1, Many(Message::Value))],
        Message::Map => vec![(1, Many(Message::Pair))],
        Message::Span => vec![
            (1, Id(16)),
            (2, Id(8)),
            (3, Text),
            (4, Id(8)),
            (5, Text),
            (6, Small),
            (7, Fixed64),
            (8, Fixed64),
            (9, Many(Message::Pair)),
            (10, Small),
            (11, Many(Message::Event)),
            (12, Small),
            (13, Many(Message::Link)),
            (14, Small),
            (15, One(Message::Status)),
            (16, Fixed32),
        ],
        Message::Event => vec![(1, Fixed64), (2, Text), (3, Many(Message::Pair)), (4, Small)],
        Message::Link => vec![(1, Id(16)), (2, Id(8)), (3, Text), (4, Many(Message::Pair)), (5, Small), (6, Fixed32)],
        Message::Status => vec![(2, Text), (3, Small)],
        Message::Record => vec![
            (1, Fixed64),
            (2, Small),
            (3, Text),
            (5, One(Message::Value)),
            (6, Many(Message::Pair)),
            (7, Small),
            (8, Fixed32),
            (9, Id(16)),
            (10, Id(8)),
            (11, Fixed64),
            (12, Text),
        ],
        Message::Metric => vec![(1, Text), (2, Text), (3, Text), (12, Many(Message::Pair))],
        Message::Gauge => vec![(1, Many(Message::NumberPoint))],
        Message::Sum => vec![(1, Many(Message::NumberPoint)), (2, Small), (3, Truth)],
        Message::Histogram => vec![(1, Many(Message::HistogramPoint)), (2, Small)],
        Message::Exponential => vec![(1, Many(Message::ExponentialPoint)), (2, Small)],
        Message::Summary => vec![(1, Many(Message::SummaryPoint))],
        Message::NumberPoint => vec![
            (2, Fixed64),
            (3, Fixed64),
            (4, Double),
            (5, Many(Message::Exemplar)),
            (6, Fixed64),
            (7, Many(Message::Pair)),
            (8, Small),
        ],
        Message::HistogramPoint => vec![
            (2, Fixed64),
            (3, Fixed64),
            (4, Fixed64),
            (5, Double),
            (6, Fixed64s),
            (7, Doubles),
            (8, Many(Message::Exemplar)),
            (9, Many(Message::Pair)),
            (10, Small),
            (11, Double),
            (12, Double),
        ],
        Message::ExponentialPoint => vec![
            (1, Many(Message::Pair)),
            (2, Fixed64),
            (3, Fixed64),
            (4, Fixed64),
            (5, Double),
            (6, Varint),
            (7, Fixed64),
            (8, One(Message::Buckets)),
            (9, One(Message::Buckets)),
            (10, Small),
            (11, Many(Message::Exemplar)),
            (12, Double),
            (13, Double),
            (14, Double),
        ],
        Message::SummaryPoint => vec![
            (2, Fixed64),
            (3, Fixed64),
            (4, Fixed64),
            (5, Double),
            (6, Many(Message::Quantile)),
            (7, Many(Message::Pair)),
            (8, Small),
        ],
        Message::Exemplar => {
            vec![(2, Fixed64), (3, Double), (4, Id(8)), (5, Id(16)), (6, Fixed64), (7, Many(Message::Pair))]
        }
        Message::Buckets => vec![(1, Varint), (2, Varints)],
        Message::Quantile => vec![(1, Double), (2, Double)],
    }
}

/// A request of up to about `size * size * size` records. `odd` requests repeat singular fields, shuffle, have unknown
/// fields and lengths that are wider than they must be; others look like what encoders write.
pub(crate) fn request(signal: Signal, seed: u64, size: usize, odd: bool) -> Vec<u8> {
    let mut maker = Maker { dice: Dice::new(seed), size, odd, depth: 0 };
    maker.message(Message::Request(signal))
}

struct Maker {
    dice: Dice,
    size: usize,
    odd: bool,
    depth: usize,
}

impl Maker {
    fn message(&mut self, message: Message) -> Vec<u8> {
        self.depth += 1;
        let mut encoded = match message {
            Message::Value => self.value_members(),
            _ => self.plain_fields(message),
        };
        if message == Message::Metric {
            encoded.extend(self.data());
        }
        if self.odd && self.dice.one_in(4) {
            for index in (1..encoded.len()).rev() {
                encoded.swap(index, self.dice.below(index + 1));
            }
        }
        if self.odd && self.dice.one_in(6) {
            let at = self.dice.below(encoded.len() + 1);
            let unknown = self.unknown(message);
            encoded.insert(at, unknown);
        }
        self.depth -= 1;
        encoded.concat()
    }

    fn plain_fields(&mut self, message: Message) -> Vec<Vec<u8>> {
        let mut encoded = Vec::new();
        for (number, holds) in fields(message) {
            let times = match holds {
                Many(Message::Pair) => self.dice.below(if self.depth > 6 { 2 } else { 5 }),
                Many(Message::Value) => self.dice.below(3),
                Many(_) => self.dice.below(self.size + 1),
                _ if self.odd && self.dice.one_in(30) => 2,
                // Of two values of one pair, or two bodies, the second is none that could be merged with the first.
                _ => self.dice.below(4).min(1),
            };
            for time in 0..times {
                let field = match holds {
                    One(Message::Value) if time > 0 => self.simple_value(number),
                    _ => self.field(number, holds),
                };
                encoded.push(field);
            }
        }
        encoded
    }

    fn value_members(&mut self) -> Vec<Vec<u8>> {
        let members = fields(Message::Value);
        let times = match self.dice.below(12) {
            0 => 0,
            1 if self.odd => 2 + self.dice.below(3),
            _ => 1,
        };
        let mut encoded = Vec::new();
        for _ in 0..times {
            let choice = match self.dice.below(if self.depth < 18 { 12 } else { 9 }) {
                0..5 => 0,
                5 => 1,
                6 => 2,
                7 => 3,
                8 => 6,
                9 => 4,
                10 => 5,
                _ => 7,
            };
            let (number, holds) = members[choice];
            encoded.push(self.field(number, holds));
        }
        encoded
    }

    fn simple_value(&mut self, number: u32) -> Vec<u8> {
        let content = match self.dice.below(3) {
            0 => Vec::new(),
            1 => self.field(1, Text),
            _ => self.field(3, Varint),
        };
        self.length_field(number, &content)
    }

    /// The data of a metric; several of them if odd.
    fn data(&mut self) -> Vec<Vec<u8>> {
        let kinds = [
            (5, Message::Gauge),
            (7, Message::Sum),
            (9, Message::Histogram),
            (10, Message::Exponential),
            (11, Message::Summary),
        ];
        let times = match self.dice.below(10) {
            0 => 0,
            1 if self.odd => 2 + self.dice.below(2),
            _ => 1,
        };
        let kind = *self.dice.pick(&kinds);
        (0..times)
            .map(|_| {
                let (number, message) = if self.dice.one_in(2) { kind } else { *self.dice.pick(&kinds) };
                self.field(number, One(message))
            })
            .collect()
    }

    fn field(&mut self, number: u32, holds: Holds) -> Vec<u8> {
        match holds {
            Varint => {
                let value = self.dice.number();
                self.varint_field(number, value)
            }
            Small => {
                let value = self.dice.below(300) as u64;
                self.varint_field(number, value)
            }
            Truth => {
                let value = self.dice.below(2) as u64;
                self.varint_field(number, value)
            }
            Fixed64 => {
                let value = self.dice.number();
                self.bytes_after_key(number, 1, &value.to_le_bytes())
            }
            Double => {
                let value = self.dice.double();
                self.bytes_after_key(number, 1, &value.to_le_bytes())
            }
            Fixed32 => {
                let value = self.dice.next() as u32;
                self.bytes_after_key(number, 5, &value.to_le_bytes())
            }
            Text => {
                let text = self.dice.text();
                self.length_field(number, text.as_bytes())
            }
            Key => {
                let key = self.dice.key();
                self.length_field(number, key.as_bytes())
            }
            Id(length) => {
                let id: Vec<u8> = match self.dice.below(16) {
                    0 => Vec::new(),
                    1 => vec![0; length],
                    _ => self.bytes(length),
                };
                self.length_field(number, &id)
            }
            Bytes => {
                let length = self.dice.below(20);
                let bytes = self.bytes(length);
                self.length_field(number, &bytes)
            }
            Fixed64s | Doubles | Varints => self.numbers(number, holds),
            One(message) | Many(message) => {
                let content = self.message(message);
                self.length_field(number, &content)
            }
        }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.dice.next() as u8).collect()
    }

    /// Repeated numbers, packed or (if odd) one by one.
    fn numbers(&mut self, number: u32, holds: Holds) -> Vec<u8> {
        let single = match holds {
            Fixed64s => Fixed64,
            Doubles => Double,
            _ => Varint,
        };
        let count = self.dice.below(5);
        if self.odd && self.dice.one_in(2) {
            return (0..count).flat_map(|_| self.field(number, single)).collect();
        }
        let content: Vec<u8> = (0..count)
            .flat_map(|_| match holds {
                Fixed64s => self.dice.number().to_le_bytes().to_vec(),
                Doubles => self.dice.double().to_le_bytes().to_vec(),
                _ => varint(self.dice.number(), 0),
            })
            .collect();
        self.length_field(number, &content)
    }

    fn unknown(&mut self, message: Message) -> Vec<u8> {
        let number = match *self.dice.pick(&[17, 30, 100, REMOVED, 536_870_911]) {
            // There a request with it would be refused.
            REMOVED if matches!(message, Message::Resources(_)) => 17,
            number => number,
        };
        match self.dice.below(4) {
            0 => self.field(number, Varint),
            1 => self.field(number, Fixed64),
            2 => self.field(number, Fixed32),
            _ => self.field(number, Bytes),
        }
    }

    fn key(&mut self, number: u32, wire_type: u32) -> Vec<u8> {
        let wide = usize::from(self.odd && self.dice.one_in(60));
        varint(u64::from(number << 3 | wire_type), wide)
    }

    fn varint_field(&mut self, number: u32, value: u64) -> Vec<u8> {
        let wide = usize::from(self.odd && self.dice.one_in(20));
        let mut field = self.key(number, 0);
        field.extend(varint(value, wide));
        field
    }

    fn bytes_after_key(&mut self, number: u32, wire_type: u32, bytes: &[u8]) -> Vec<u8> {
        let mut field = self.key(number, wire_type);
        field.extend(bytes);
        field
    }

    fn length_field(&mut self, number: u32, content: &[u8]) -> Vec<u8> {
        let wide = if self.odd && self.dice.one_in(40) { 1 + self.dice.below(2) } else { 0 };
        let mut field = self.key(number, 2);
        field.extend(varint(content.len() as u64, wide));
        field.extend(content);
        field
    }
}

/// A varint with some bytes more than it needs, unless that would be too many.
pub(crate) fn varint(mut value: u64, wide: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            break;
        }
        bytes.push(byte | 0x80);
    }
    for _ in 0..wide {
        if bytes.len() < 9 {
            *bytes.last_mut().unwrap() |= 0x80;
            bytes.push(0);
        }
    }
    bytes
}
