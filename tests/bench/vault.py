# SPDX-License-Identifier: Apache-2.0
"""T17: encryption at rest."""
import collections
import shutil
import statistics

from harness import run, timed


def t17(company):
    """The same work on an ordinary file and an encrypted one; and a first sync into one."""
    samples = collections.defaultdict(list)
    part = "50" if company.options.quick else "1"
    for _ in range(company.runs):
        for line in run(company.tool("vault_cost"), company.path(), part).splitlines():
            name, kind, *milliseconds = line.split()
            for metric, value in zip(("ms", "cpu_ms"), milliseconds):
                samples[name, metric, kind].append(float(value))
    for name, metric in dict.fromkeys(key[:2] for key in samples):
        plain = samples[name, metric, "plain"]
        company.figures.add("T17/" + name, "plain_" + metric, plain)
        company.figures.add("T17/" + name, metric, samples[name, metric, "sealed"],
                         "the same, not encrypted", statistics.median(plain))
    sealed_syncs(company)


def sealed_syncs(company):
    """Both derive a key of the passphrase: what differs is the replica."""
    secret = company.path("passphrase")
    with open(secret, "w", encoding="ascii") as file:
        file.write("a passphrase of the bench\n")
    walls, cpus = {"plain": [], "sealed": []}, {"plain": [], "sealed": []}
    for _ in range(company.runs):
        for kind, options in (("plain", ()), ("sealed", ("--encrypt",))):
            folder, code = company.new_device("boss")
            wall, cpu = timed("sh", "-c", 'exec 9<"$1"; shift; exec "$@"', "sh", secret,
                              company.agent_program, "enrol", code, "--data", folder, "--server",
                              company.url(), "--protect", "--new-passphrase-fd", "9", *options)
            walls[kind].append(wall)
            cpus[kind].append(cpu)
            shutil.rmtree(folder)
    for metric, values in (("wall_s", walls), ("cpu_agent_s", cpus)):
        company.figures.add("T17/first_sync", "plain_" + metric, values["plain"])
        company.figures.add("T17/first_sync", metric, values["sealed"], "the same, not encrypted",
                         statistics.median(values["plain"]))
