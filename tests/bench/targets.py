# SPDX-License-Identifier: Apache-2.0
"""What the figures should be: the aim, what the machine could do at best, the best other product.

`field` of a figure is its median or its ratio to the yardstick of the same run; several metrics are
added up. The limits and the other products were measured on one machine of two cores, an SSD behind
a network, server and client over the loopback; docs/PERFORMANCE.md names the products.
"""
import collections

Target = collections.namedtuple("Target", "words id metrics aim limit other more_is_better field",
                                defaults=(None, None, False, "median"))

TARGETS = [
    Target("T1 first sync of W, s", "T1", ("wall_s",), 1.0, 0.30, 7.0),
    Target("T1 bytes down", "T1", ("bytes_down",), 5.5e6, 4.24e6, 11.2e6),
    Target("T1 CPU of both sides, s", "T1", ("cpu_server_s", "cpu_agent_s"), 1.5, None, 9),
    Target("T1b first sync of 5 %, s", "T1b", ("wall_s",), 0.10, 0.07, 0.58),
    Target("T1b bytes down", "T1b", ("bytes_down",), 300e3, 287e3, 574e3),
    Target("T2 offline work delivered, s", "T2", ("wall_s",), 0.15, 0.07, 0.42),
    Target("T2 bytes up", "T2", ("bytes_up",), 165e3, 136e3, 797e3),
    Target("T2v visible at another device, s", "T2v", ("wall_s",), 0.25, None, 2.4),
    Target("T3 50 push at once, changes/s", "T3/50", ("changes_per_s",), 40e3, 104e3, 15.9e3, True),
    Target("T3 the same, p99 ms", "T3/50", ("p99_ms",), 120, None, 315),
    Target("T3 200 push at once, changes/s", "T3/200", ("changes_per_s",), 40e3, 104e3, 28.9e3,
           True),
    Target("T3 the same, p99 ms", "T3/200", ("p99_ms",), 450, None, 690),
    Target("T4 a change at 1 device, p50 ms", "T4/1", ("p50_ms",), 3, 0.06, 7.1),
    Target("T4 at 100 devices, p50 ms", "T4/100", ("p50_ms",), 5, 1.4, 389),
    Target("T4 at 1,000 devices, p50 ms", "T4/1000", ("p50_ms",), 20, 9.5),
    Target("T4 received by 1,000, p50 ms", "T4/1000/received", ("p50_ms",), 20, 9.5, 11),
    Target("T5 server at rest, MiB", "T5", ("rss_server_mib",), 15, 4.2, 72),
    Target("T5 each of 10,000 devices, KiB", "T5/10000", ("rss_per_client_kib",), 4, 2.3, 26),
    Target("T5 agent at rest with W, MiB", "T5", ("rss_agent_mib",), 12, None, 70),
    Target("T6 nothing to do, s", "T6", ("wall_s",), 0.005, 0.001, 0.043),
    Target("T6 bytes of all", "T6", ("bytes_total",), 1200, 900, 1456),
    Target("T7 size of the replica", "T7", ("file_ratio",), 1.3, 1.0, 3.4),
    Target("T8 connects/s", "T8", ("connects_per_s",), 2500, 6500, 436, True),
    Target("T9 inserts, by plain SQLite", "T9/insert", ("ratio",), 0.55, 0.63, None, True),
    Target("T9 updates, by plain SQLite", "T9/update", ("ratio",), 0.40, 0.45, None, True),
    Target("T10 snapshot served, by the chain", "T10/served", ("rows_per_s",), 0.5, 1, None, True,
           "ratio"),
    Target("T10 applied, by plain INSERT", "T10/apply", ("rows_per_s",), 0.6, 0.72, None, True,
           "ratio"),
    Target("T11 bytes a change, 60 of them", "T11/many", ("bytes_per_change",), 30, None, 28),
    Target("T11 bytes a change, 6 of them", "T11/few", ("bytes_per_change",), 40),
    Target("T12 recording, tx of 100 inserts", "T12/insert_100", ("overhead_ratio",), 1.5, 1, 1.44),
    Target("T12 recording, tx of 100 updates", "T12/update_100", ("overhead_ratio",), 1.5, 1, 1.44),
    Target("T12 recording, durable insert", "T12/insert_1", ("overhead_ratio",), 1.25, 1, 1.6),
    Target("T13 read under ingest, p99", "T13/point_read", ("p99_ms",), 4, 2.8, None, False,
           "ratio"),
    Target("T13 feed page under ingest, p99", "T13/feed_page", ("p99_ms",), 4, 2.8, None, False, "ratio"),
    Target("T13 log of the database, MiB", "T13", ("wal_mib",), 64),
    Target("T16 server program, MiB", "T16/server", ("stripped_mib",), 1.5),
    Target("T16 agent program, MiB", "T16/agent", ("stripped_mib",), 1.5),
    Target("T16 server ready, ms", "T16/server", ("ready_ms",), 50),
    Target("T16 agent ready, ms", "T16/agent", ("ready_ms",), 50),
]


def value_of(target, rows):
    """What the rows of a bench.json say about it; None: not measured."""
    found = {(row["id"], row["metric"]): row[target.field] for row in rows}
    values = [found.get((target.id, metric)) for metric in target.metrics]
    return None if None in values else sum(values)


def cost(target, value):
    """How often the aim's cost: 2 is twice as slow, large or long as wanted."""
    return target.aim / value if target.more_is_better else value / target.aim
