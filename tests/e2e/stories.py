# SPDX-License-Identifier: Apache-2.0
"""Runs the stories of a test program one after the other on one company, and says how long each
took. A story is a function whose name is the rule that it proves; it gets the company."""

import sys
import time

import lib
import small_company

SLOW = 10 # what a time limit is multiplied by in a build with sanitizers


class Skipped(Exception):
    """This machine can't do it; the words say what is missing."""


def limit_s(company, seconds):
    is_slow = lib.is_sanitized(company.build)
    return seconds * (SLOW if is_slow else 1)


def expect_within(company, seconds, limit, what):
    limit = limit_s(company, limit)
    lib.expect(seconds <= limit, "%s took %.2f s, limit %.2f s" % (what, seconds, limit))


def tell(stories, logins, *options):
    with lib.Company(sys.argv[1]) as company:
        company.build = sys.argv[1]
        small_company.found(company, logins)
        company.serve(*options)
        for story in stories:
            begin = time.monotonic()
            name = story.__name__.replace("_", " ")
            try:
                story(company)
                result = "ok"
            except Skipped as reason:
                result = "skipped, " + str(reason)
            except Exception:
                print("FAILED: " + name, flush=True)
                raise
            print("%s: %s (%.1f s)" % (name, result, time.monotonic() - begin), flush=True)
