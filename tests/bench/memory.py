# SPDX-License-Identifier: Apache-2.0
"""T5: memory at rest."""
import time

from harness import end, memory_mib

REST_S = 5  # until what only makes things faster is given back, or nearly


def t5(company):
    count = company.options.clients
    folder = company.some_replica()
    crowd = company.fleet()
    company.restart_server()
    time.sleep(REST_S)
    base = memory_mib(company.server.pid)
    company.figures.add("T5", "rss_server_mib", [base])
    crowd.connect(200)
    crowd.ask("settle")
    time.sleep(REST_S)
    company.figures.add("T5/%d" % count, "rss_per_client_kib",
                        [(memory_mib(company.server.pid) - base) * 1024 / count])
    crowd.ask("drop")
    company.restart_server()
    agent = company.start_agent(folder)
    time.sleep(REST_S)
    company.figures.add("T5", "rss_agent_mib", [memory_mib(agent.pid)])
    end(agent)
