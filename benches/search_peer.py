#!/usr/bin/env python3
"""Asks chDB (ClickHouse in the process) what benches/search.rs asked our store, of the same events, and compares.

  cargo bench --workspace --bench search -- --events 10000000 --peer target/search.parquet --counts target/search.json
  python3 -m venv target/chdb && target/chdb/bin/pip install chdb
  target/chdb/bin/python benches/search_peer.py target/search.parquet target/search.json target/chdb-data

Prints a table for docs/messungen/suche.md; ends with 1 where a count differs. Without chdb it says so and ends with 0.
"""

import json
import os
import re
import resource
import statistics
import sys
import time

try:
    from chdb import session
except ImportError as error:
    print(f"übersprungen: chDB ist nicht da ({error})")
    sys.exit(0)

WORD_END = "[^a-z0-9]"
TEXT_INDEXES = [
    "INDEX words lower(line) TYPE text(tokenizer = 'splitByNonAlpha') GRANULARITY 100000000",
    "INDEX words lower(line) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 1",
]
COLUMNS = """ts DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), site LowCardinality(String), line String CODEC(ZSTD(3)),
    source_ip IPv6, destination_ip IPv6, user_name LowCardinality(String), host_name LowCardinality(String),
    event_action LowCardinality(String), event_code LowCardinality(String), event_outcome LowCardinality(String),
    event_module LowCardinality(String), network_transport LowCardinality(String),
    source_port Int32, destination_port Int32"""
TOP = ["site", "host_name", "source_ip", "user_name", "event_action", "event_module"]


def sql(where):
    """Our macros: whole words whatever their case, as our query language means them."""

    def phrase(text):
        words = " AND ".join(f"hasToken(lower(line), '{word}')" for word in re.findall("[a-z0-9]+", text))
        return f"({words} AND match(lower(line), '(^|{WORD_END}){re.escape(text)}({WORD_END}|$)'))".replace("\\", "\\\\")

    def glob(text):
        body = re.escape(text).replace(r"\*", "[a-z0-9]*").replace(r"\?", "[a-z0-9]")
        return f"match(lower(line), '(^|{WORD_END}){body}({WORD_END}|$)')".replace("\\", "\\\\")

    where = re.sub(r"\bW\('([^']*)'\)", lambda m: f"hasToken(lower(line), '{m[1]}')", where)
    where = re.sub(r"\bP\('([^']*)'\)", lambda m: phrase(m[1]), where)
    return re.sub(r"\bG\('([^']*)'\)", lambda m: glob(m[1]), where)


def load(db, parquet):
    for index in TEXT_INDEXES:
        db.query("DROP TABLE IF EXISTS events")
        try:
            db.query(
                f"CREATE TABLE events ({COLUMNS}, {index}, INDEX si source_ip TYPE bloom_filter GRANULARITY 4) "
                "ENGINE = MergeTree PARTITION BY toDate(ts) ORDER BY ts"
            )
        except Exception as error:  # an older chDB has no such index
            print(f"<!-- {index.split('TYPE ')[1].split('(')[0]}: {str(error)[:90]} -->")
            continue
        before, clock = cpu(), time.monotonic()
        address = "toIPv6(if({0} = '', '::', {0}))".format
        db.query(
            f"""INSERT INTO events SELECT fromUnixTimestamp64Milli(ts, 'UTC'), site, line, {address('source_ip')}, {address('destination_ip')},
            user_name, host_name, event_action, event_code, event_outcome, event_module, network_transport,
            ifNull(source_port, -1), ifNull(destination_port, -1)
            FROM file('{os.path.abspath(parquet)}', Parquet)
            SETTINGS max_partitions_per_insert_block = 1000, max_insert_threads = 1"""
        )
        return index, cpu() - before, time.monotonic() - clock
    sys.exit("no text index can be had")


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def rows(db, text):
    return json.loads(str(db.query(text, "JSONCompact")))["data"]


def kind(db, wheres, rounds, tops=True):
    """What one of our searches answers: newest 50, total over time in 60 bars, top values of six fields."""
    times, used = [], []
    for n in range(rounds * len(wheres)):
        where = sql(wheres[n % len(wheres)])
        clock, before = time.monotonic(), cpu()
        rows(db, f"SELECT ts, line FROM events WHERE {where} ORDER BY ts DESC LIMIT 50")
        rows(db, f"SELECT intDiv(toUnixTimestamp(ts), 129600) AS bar, count() FROM events WHERE {where} GROUP BY bar ORDER BY bar")
        if tops:
            for field in TOP:
                rows(db, f"SELECT {field}, count() AS n FROM events WHERE {where} GROUP BY {field} ORDER BY n DESC LIMIT 10")
        times.append((time.monotonic() - clock) * 1e3)
        used.append((cpu() - before) * 1e3)
    times.sort()
    used.sort()
    return [number(values[(len(values) - 1) * percent // 100]) for values in (times, used) for percent in (50, 95)]


def number(value):
    return f"{value:.1f}".replace(".", ",")


def main():
    parquet, counts, where = sys.argv[1:4]
    rounds = max(1, int(sys.argv[4])) if len(sys.argv) > 4 else 5
    for path in (parquet, counts):
        if not os.path.isfile(path):
            sys.exit(f"{path} is not there: the search bench writes it (--peer, --counts)")
    loaded = os.path.join(where, "loaded")  # written last: a load that broke off is done again
    db = session.Session(where)
    if not os.path.isfile(loaded):
        index, used, took = load(db, parquet)
        open(loaded, "w").close()
        total = int(rows(db, "SELECT count() FROM events")[0][0])
        size = int(rows(db, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'events'")[0][0])
        print(f"| chDB: Index | {index.split('TYPE ')[1].split(' GRAN')[0]} |")
        print(f"| chDB: Ereignisse je CPU-Sekunde (aus Parquet, fertig zerlegt) | {total / used:.0f} |")
        print(f"| chDB: Byte je Ereignis | {size / total:.1f} |")
    kinds = [
        ("Zwei Wörter", ["W('failed') AND W('admin')", "W('failed') AND W('oracle')", "W('deny') AND W('outside')",
                         "W('anna') AND W('weber')", "W('sudo') AND W('nginx')", "W('apache2') AND W('404')", "W('accepted') AND W('publickey')"]),
        ("Alles, häufigste Werte von sechs Feldern", ["1"]),
        ("source.ip, selten", ["source_ip = toIPv6('203.0.113.77')",
                               "source_ip = toIPv6('203.0.113.77') OR destination_ip = toIPv6('203.0.113.77')"]),
        ("source.ip, häufig", ["source_ip = toIPv6('45.2.1.1')", "source_ip = toIPv6('91.2.1.2')"]),
        ("CIDR", ["source_ip BETWEEN toIPv6('10.100.7.0') AND toIPv6('10.100.7.255')",
                  "source_ip BETWEEN toIPv6('185.0.0.0') AND toIPv6('185.255.255.255')"]),
        ("Wendung", ["P('failed password')", "P('logon type 3')", "P('invalid user admin')"]),
        ("Platzhalter", ["G('fail*')", "G('mail12?')", "G('*login*')"]),
        ("Feld mit Platzhalter", ["lower(user_name) LIKE 'anna.%'", "match(lower(host_name), '^web-0.7$')", "lower(event_action) LIKE 'log%'"]),
        ("Spalte", ["destination_port = 3389", "event_outcome = 'failure' AND NOT W('sshd')"]),
    ]
    print("\n| chDB: Frage | p50 | p95 | CPU p50 | CPU p95 |\n|---|---:|---:|---:|---:|")
    row = "| {} | {} ms | {} ms | {} ms | {} ms |".format
    for name, wheres in kinds:
        print(row(name, *kind(db, wheres, rounds)), flush=True)
    print(row("Zwei Wörter, ohne häufigste Werte", *kind(db, kinds[0][1], rounds, tops=False)))
    with open(counts, encoding="utf-8") as file:
        asked = json.load(file)
    wrong, ratios = 0, []
    for question in asked:
        clock = time.monotonic()
        theirs = int(rows(db, f"SELECT count() FROM events WHERE {sql(question['sql'])}")[0][0])
        ratios.append((time.monotonic() - clock) * 1e3 / max(question["millis"], 0.01))
        if theirs != question["total"]:
            wrong += 1
            part = " (teilweise)" if question["partial"] else ""
            print(f"ANDERS: {question['query']}: {question['total']}{part} gegen {theirs}")
    print(f"\n{len(asked) - wrong} von {len(asked)} Fragen zählen gleich; Zeit chDB (nur zählen) / unsere (mit allem), Median {statistics.median(ratios):.2f}")
    print(f"chDB: Speicher höchstens {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
