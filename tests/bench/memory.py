# SPDX-License-Identifier: Apache-2.0
"""T5: memory at rest; T16: sizes of the programs, and how fast they are there."""
import os
import subprocess
import time

from harness import end, memory_mib, run, wait_for

REST_S = 5  # until what only makes things faster is given back, or nearly


def t5(company):
    count = company.options.clients
    rest_s = 0.3 if company.quick else REST_S
    folder = company.some_replica()
    crowd = company.fleet()
    company.restart_server()
    time.sleep(rest_s)
    base = memory_mib(company.server.pid)
    company.figures.add("T5", "rss_server_mib", [base])
    crowd.connect(200)
    crowd.settle()
    time.sleep(rest_s)
    company.figures.add("T5/%d" % count, "rss_per_client_kib",
                        [(memory_mib(company.server.pid) - base) * 1024 / count])
    crowd.ask("drop")
    company.restart_server()
    agent = company.start_agent(folder)
    time.sleep(rest_s)
    company.figures.add("T5", "rss_agent_mib", [memory_mib(agent.pid)])
    end(agent)


def stripped_mib(company, program):
    path = company.path("stripped")
    run("strip", "-o", path, program)
    return os.path.getsize(path) / 2**20


def server_ready_ms(company):
    company.stop_server()
    begin = time.monotonic()
    company.launch_server()
    return (time.monotonic() - begin) * 1000


def agent_ready_ms(company, folder):
    """Until it says how it is, which it does once everything is open."""
    state = os.path.join(folder, "agent.state")
    if os.path.exists(state):
        os.remove(state)
    begin = time.monotonic()
    agent = subprocess.Popen([company.agent_program, "run", "--data", folder],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    company.children.append(agent)
    wait_for("an agent", lambda: os.path.exists(state), pause_s=0.0005)
    ready = (time.monotonic() - begin) * 1000
    end(agent)
    return ready


def t16(company):
    folder = company.some_replica()
    for name, program in (("server", company.server_program), ("agent", company.agent_program)):
        company.figures.add("T16/" + name, "stripped_mib", [stripped_mib(company, program)])
    company.figures.add("T16/server", "ready_ms",
                        [server_ready_ms(company) for _ in range(company.runs)])
    company.figures.add("T16/agent", "ready_ms",
                        [agent_ready_ms(company, folder) for _ in range(company.runs)])
