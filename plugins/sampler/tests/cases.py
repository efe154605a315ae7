"""Asks the Collector's sampler about random spans and log records, and writes down its answers as data/spans.tsv and
data/logs.tsv.

    python3 plugins/sampler/tests/cases.py target/parts/collector/otelcol [seed [how many]]
"""

import json
import random
import struct
import subprocess
import sys
from pathlib import Path

HEX = "0123456789abcdef"


# OTLP, as far as it is needed here


def varint(number):
    number &= (1 << 64) - 1
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def number(field, value):
    return varint(field << 3) + varint(value)


def message(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def any_value(value):
    match value:
        case None:
            return b""
        case bool():
            return number(2, int(value))
        case int():
            return number(3, value)
        case float():
            return varint(4 << 3 | 1) + struct.pack("<d", value)
        case str():
            return message(1, value.encode())
        case bytes():
            return message(7, value)
        case list():
            return message(5, b"".join(message(1, any_value(element)) for element in value))
        case dict():
            return message(6, b"".join(message(1, attribute(key, member)) for key, member in value.items()))


def attribute(key, value):
    return message(1, key.encode()) + message(2, any_value(value))


def fields(content):
    at = 0

    def read():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(content):
        tag = read()
        if tag & 7 == 0:
            yield tag >> 3, read()
            continue
        length = {1: 8, 5: 4}.get(tag & 7)
        length = read() if length is None else length
        yield tag >> 3, content[at : at + length]
        at += length


def first(content, field):
    return next((value for found, value in fields(content) if found == field), b"")


# Random telemetry: mostly sensible, often wrong in one place


def chance(probability):
    return random.random() < probability


def digits(*lengths):
    return "".join(random.choice(HEX) for _ in range(random.choice(lengths)))


def trace_id():
    special = [bytes(16), bytes([1] * 9) + b"\xff" * 7, bytes([1] * 9) + bytes(7)]
    return random.choice(special) if chance(0.15) else random.randbytes(16)


def threshold():
    if chance(0.2):
        return random.choice("0f") * random.randint(1, 15)
    if chance(0.1):
        return random.choice(["", "g", "0x1", "C", "8000", "aB", "1_0", "-1", "."])
    return digits(1, 1, 1, 2, 3, 4, 5, 14, 13, 15)


def randomness():
    if chance(0.1):
        return digits(0, 1, 13, 15)
    if chance(0.05):
        return random.choice(["ABCDEF01234567", "g" * 14, "f" * 14, "0" * 14, "1_000000000000"])
    return digits(14)


def ot_member():
    parts = []
    if chance(0.6):
        parts.append("th:" + threshold())
    if chance(0.5):
        parts.append("rv:" + randomness())
    if chance(0.3):
        parts.append(random.choice(["x:1", "p:8", "zz9:a.B_-", "a:", "rvx:1", "th2:3"]))
    if chance(0.06):
        parts.append(random.choice(["th:4", "rv:" + randomness(), "9a:1", "A:1", "", ":1", "a", "a:b:c", "a:é", "a: b"]))
    random.shuffle(parts)
    return "ot=" + (";".join(parts) if parts else random.choice(["x:1", ";", "x:1;", ""]))


GOOD = ["vendor=value", "a=1", "rojo=00f067aa0ba902b7", "1tenant@sys=x", "t@s=y", "a/b*c-d_e=!~ x"]
BAD = ["A=1", "=1", "a=", "a", "a==", "a=b=c", "1a=x", "a@=x", "@a=x", "a@1=x", "a@b@c=x", "a=é", "a=x,,b", "a\x01=b"]
BAD += ["v=" + "x" * 256, "v=" + "x" * 257, "k" * 257 + "=x", "k" * 256 + "=x", "t" * 242 + "@s=x", "t" * 241 + "@s=x"]
BAD += ["t@" + "s" * 15 + "=x", "t@" + "s" * 14 + "=x", "ot@x=1", "OT=th:8", "a b=c"]


def tracestate():
    if chance(0.12):
        return ""
    members = [ot_member()] if chance(0.8) else []
    members += random.choices(GOOD, k=random.choice([0, 0, 1, 1, 2]))
    if chance(0.08):
        members.append(random.choice(BAD))
    if chance(0.08):
        members.append(random.choice(["", ot_member()]))
    if chance(0.02):
        members += [f"k{i}={i}" for i in range(random.randint(28, 33))]
    if chance(0.01):
        members += [f"k{i}=" + "y" * 200 for i in range(random.randint(4, 6))]
    random.shuffle(members)
    separator = random.choice([",", ",", ", ", " ,\t"])
    return random.choice(["", "", "", " "]) + separator.join(members) + random.choice(["", "", "", " ", ","])


PERCENTAGES = [0, 0.001, 0.006, 0.0061, 0.0062, 0.1, 1, 3.125, 5, 6.25, 10, 15.3, 25, 33.333, 50, 60.0001, 75, 90, 93.75, 99]
PERCENTAGES += [99.9, 99.99, 99.9999, 100, 150, 1e-13, 1.4e-15, 0.39, 0.390625, 12.5]


def config():
    found = {"sampling_percentage": random.choice(PERCENTAGES)}
    if chance(0.9):
        found["mode"] = random.choice(["hash_seed", "equalizing", "proportional"])
    if chance(0.4):
        found["hash_seed"] = random.choice([0, 1, 22, 4294967295])
    if chance(0.4):
        found["fail_closed"] = chance(0.3)
    if chance(0.5):
        found["sampling_precision"] = random.choice([1, 2, 3, 4, 5, 8, 13, 14])
    return found


INTEGERS = [0, 1, -1, 42, 2**63 - 1, -(2**63)]
DOUBLES = [0.0, -0.0, 1.5, -2.25, 1e20, 1e21, -1e21, 1e-6, 9.99e-7, 1e-10, 1e-100, 1.7976931348623157e308, 5e-324, 0.1, 1 / 3]
TEXTS = ["", "a", "hello world", "ä€😀", '"quoted"\\', "<b>&'", "\n\r\t\b\f\x01\x1f\x7f", "\u2028\u2029"]


def value(depth=0):
    match random.randint(0, 9 if depth < 3 else 6):
        case 0:
            return random.choice([None, True, False])
        case 1 | 2:
            return random.choice(INTEGERS)
        case 3 | 4:
            rare = [float("nan"), float("inf"), -float("inf")]
            return random.choice(rare if chance(0.03) else DOUBLES + [random.uniform(-1e30, 1e30)])
        case 5:
            return random.choice(TEXTS)
        case 6:
            return random.choice([b"", random.randbytes(random.randint(1, 9))])
        case 7:
            return [value(depth + 1) for _ in range(random.randint(0, 3))]
        case _:
            keys = random.choices(["a", "b", "Z", "ä", 'k"', "", "x.y", "aa", "😀"], k=random.randint(0, 4))
            return {key: value(depth + 1) for key in keys}


# Questions and answers


def ask(questions):
    lines = "\n".join(json.dumps(question) for question in questions).encode()
    found = subprocess.run([sys.argv[1], "ask"], input=lines, stdout=subprocess.PIPE, check=True).stdout.splitlines()
    answers = [json.loads(answer) for answer in found]
    assert len(answers) == len(questions)
    assert all(answer.keys() == {"request"} for answer in answers)
    requests = [bytes.fromhex(answer["request"]) for answer in answers]
    return [first(first(first(request, 1), 2), 2) if request else None for request in requests]


def question(config, signal, record):
    request = message(1, message(2, message(2, record))).hex()
    return {"processor": "probabilistic_sampler", "config": config, "signal": signal, "request": request}


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def typed(value):
    if isinstance(value, str):
        return "s:" + value
    return "-" if value is None else f"{type(value).__name__[0]}:{value!r}"


def spans(count):
    priorities = [0, 1, -1, 7, 0.0, 0.5, -0.5, float("nan"), float("inf"), "0", "1", "-1", "0x1p-2", "x", "", 2**63 - 1]
    cases = []
    for _ in range(count):
        case = (config(), trace_id(), tracestate(), random.choice(priorities) if chance(0.15) else None)
        cases.append(case)
    questions = []
    for found, identity, state, priority in cases:
        span = message(1, identity) + message(2, b"12345678") + message(3, state.encode())
        if priority is not None:
            span += message(9, attribute("sampling.priority", priority))
        questions.append(question(found, "traces", span))
    for (found, identity, state, priority), span in zip(cases, ask(questions)):
        answer = "-" if span is None else "=" + first(span, 3).decode()
        yield [compact(found), identity.hex(), compact(state), typed(priority), compact(answer)]


def logs(count):
    def sampling_attribute(make):
        if chance(0.7):
            return None
        return random.choice([1, 2.5, True, b"8", ""]) if chance(0.1) else make()

    cases = []
    for _ in range(count):
        found = config()
        if chance(0.5):
            found["from_attribute"] = "source"
        if chance(0.4):
            found["attribute_source"] = random.choice(["record", "traceID"])
        if chance(0.5):
            found["sampling_priority"] = "priority"
        attributes = {
            "sampling.threshold": sampling_attribute(threshold),
            "sampling.randomness": sampling_attribute(randomness),
            "priority": random.choice([None, None, 0, 1, 50, 100, 101, -1, 1e-14, 33.3333, 100.0, 100.1, float("nan")]),
        }
        attributes = {key: held for key, held in attributes.items() if held is not None}
        if chance(0.7):
            attributes["source"] = value()
        cases.append((found, trace_id() if chance(0.6) else b"", attributes))
    questions = []
    for found, identity, attributes in cases:
        pairs = random.sample(list(attributes.items()), len(attributes))
        record = message(9, identity) + b"".join(message(6, attribute(key, held)) for key, held in pairs)
        questions.append(question(found, "logs", record))

    def text(held):
        return compact(held) if isinstance(held, str) else "-"

    for (found, identity, attributes), record in zip(cases, ask(questions)):
        answer = "-"
        if record is not None:
            after = {first(pair, 1).decode(): first(pair, 2) for held, pair in fields(record) if held == 6}
            written = (first(after.get(key, b""), 1) for key in ("sampling.threshold", "sampling.randomness"))
            answer = " ".join(text.decode() if isinstance(text, bytes) and text else "-" for text in written)
        source = any_value(attributes["source"]).hex() if "source" in attributes else "-"
        parts = (attributes.get("sampling.threshold"), attributes.get("sampling.randomness"))
        yield [compact(found), identity.hex(), *map(text, parts), source, typed(attributes.get("priority")), answer]


def main():
    random.seed(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 900
    for name, rows in (("spans", spans(count)), ("logs", logs(count))):
        with open(Path(__file__).parent / f"data/{name}.tsv", "w", encoding="utf-8") as file:
            for row in rows:
                line = "\t".join(row)
                # Long ones are worth their place only now and then.
                if len(line) < 300 or chance(0.1):
                    file.write(line + "\n")


main()
