# SPDX-License-Identifier: Apache-2.0
"""Signing in on the server's pages, who may not, and what becomes of a session: with the real
server, over real sockets."""

import http.client
import json
import os
import re
import sqlite3
import ssl
import subprocess
import threading
import time

import lib
import stories
from lib import expect, expect_equal

PASSWORD = "correct horse battery"
CUT = 0
JSON = {"Content-Type": "application/json"}


class Browser:
    """Keeps the cookie and sends what browsers send."""

    def __init__(self, company, origin=None, tls=None):
        self.port = company.admin_port
        self.origin = origin
        self.tls = tls
        self.cookie = None
        self.csrf = None

    def ask(self, method, path, body=None, headers=None):
        connection = (http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30,
                                                  context=self.tls)
                      if self.tls else http.client.HTTPConnection("127.0.0.1", self.port, timeout=30))
        sent = dict(JSON if body is not None else {})
        if self.cookie:
            sent["Cookie"] = self.cookie
        if self.csrf:
            sent["X-CSRF-Token"] = self.csrf
        if self.origin:
            sent["Origin"] = self.origin
            sent["Sec-Fetch-Site"] = "same-origin"
        sent.update(headers or {})
        sent = {name: value for name, value in sent.items() if value is not None}
        data = json.dumps(body) if isinstance(body, dict) else body
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (BrokenPipeError, ConnectionResetError):
            return CUT # refused before all of it was sent
        finally:
            connection.close()
        set_cookie = answer.getheader("Set-Cookie")
        if set_cookie:
            self.cookie = set_cookie.split(";")[0] if "Max-Age=0" not in set_cookie else None
        self.headers = answer.headers
        self.body = json.loads(text) if text.startswith("{") else text
        return answer.status

    def sign_in(self, login="diana", password=PASSWORD, **options):
        status = self.ask("POST", "/api/session", {"login": login, "password": password}, **options)
        if status == 201:
            self.csrf = self.body["csrf_token"]
        return status

    def who(self):
        status = self.ask("GET", "/api/session")
        return self.body["login"] if status == 200 else status


def add(company, login, password=PASSWORD):
    company.user_add(login, "dispatcher")
    company.cli("user", "passwd", login, "--password-stdin", text_in=password + "\n")


def audited(company, event):
    return company.value("SELECT count(*) FROM fs_audit WHERE event = ?", event)


def who_signs_in_is_known_until_he_signs_out(company):
    add(company, "diana")
    browser = Browser(company, origin="http://127.0.0.1:%d" % company.admin_port)
    expect_equal(browser.who(), 401, "without a session")
    expect_equal(browser.sign_in(headers={"Accept-Language": "fr, it;q=0.8"}), 201, "sign in")
    expect_equal(browser.body["roles"], ["dispatcher"], "roles")
    expect_equal(browser.body["language"], "it", "language")
    expect("HttpOnly" in browser.headers["Set-Cookie"]
           and "SameSite=Strict" in browser.headers["Set-Cookie"], "the cookie")
    for name, wanted in (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
                         ("Referrer-Policy", "no-referrer")):
        expect_equal(browser.headers[name], wanted, name)
    expect("frame-ancestors 'none'" in browser.headers["Content-Security-Policy"], "framed")
    expect_equal(browser.who(), "diana", "who")
    kept = browser.cookie
    stored = company.value("SELECT hex(token_hash) FROM fs_web_session")
    expect(stored.lower() not in kept, "the token itself is stored")
    expect_equal(browser.ask("DELETE", "/api/session"), 204, "sign out")
    browser.cookie = kept
    expect_equal(browser.who(), 401, "the old cookie")
    expect_equal(audited(company, "login"), 1, "login in the audit log")
    expect_equal(audited(company, "logout"), 1, "logout in the audit log")


def a_change_needs_the_csrf_token_and_our_own_page(company):
    browser = Browser(company)
    expect_equal(browser.sign_in(), 201, "sign in")
    right = browser.csrf
    other = Browser(company)
    expect_equal(other.sign_in(), 201, "another session")
    evil = "http://evil.example"
    for headers, wanted in (({"X-CSRF-Token": None}, 403), ({"X-CSRF-Token": other.csrf}, 403),
                            ({"Origin": evil}, 403), ({"Origin": "null"}, 403),
                            ({"Sec-Fetch-Site": "cross-site"}, 403),
                            ({"Sec-Fetch-Site": "same-site"}, 403),
                            ({"Host": "evil.example"}, 403)):
        expect_equal(browser.ask("DELETE", "/api/session", headers=headers), wanted, str(headers))
        expect_equal(browser.ask("PUT", "/api/session/password",
                                 {"password": PASSWORD, "new_password": "x" * 12}, headers), wanted,
                     "a new password with %r" % headers)
    for headers in ({"Origin": evil}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        expect_equal(Browser(company).sign_in(headers=headers), 403, "signing in with %r" % headers)
        expect_equal(browser.ask("GET", "/api/session", headers=headers), 403, "read: %r" % headers)
    expect_equal(Browser(company).sign_in(headers={"Content-Type": "text/plain"}), 415, "a form")
    expect_equal(browser.who(), "diana", "after all that")
    browser.csrf = right
    expect_equal(browser.ask("DELETE", "/api/session"), 204, "with the right one")


def bad_bodies_are_refused(company):
    browser = Browser(company)
    for body in ("", "{", "[]", "null", '{"login":"diana"}', '{"login":"diana","password":1}',
                 '{"login":"diana","password":"x","admin":"yes"}',
                 '{"login":"diana","login":"diana","password":"x"}',
                 '{"login":"%s","password":"x"}' % ("d" * 65),
                 '{"login":"diana","password":"%s"}' % ("x" * 1025), "{" * 5000):
        expect_equal(browser.ask("POST", "/api/session", body), 400, "body %.40r" % body)
    for size in (9000, 2000000):
        expect(browser.ask("POST", "/api/session", "x" * size) in (413, CUT), "%d bytes" % size)
    expect_equal(browser.ask("PATCH", "/api/session", "{}"), 405, "PATCH")
    expect_equal(browser.ask("GET", "/api/nothing"), 404, "another path")
    for cookie in ("fieldsync=", "fieldsync=" + "0" * 64, "fieldsync=" + "g" * 64, "=;;=",
                   "fieldsync=" + "0" * 63, "fieldsync=1; fieldsync=2"):
        browser.cookie = cookie
        expect_equal(browser.who(), 401, cookie)


def a_new_password_ends_the_other_sessions(company):
    add(company, "paola")
    one, two = Browser(company), Browser(company)
    expect_equal(one.sign_in("paola"), 201, "one")
    expect_equal(two.sign_in("paola"), 201, "two")
    change = {"password": PASSWORD, "new_password": "short"}
    expect_equal(one.ask("PUT", "/api/session/password", change), 422, "a short one")
    change["new_password"] = "another good one"
    expect_equal(one.ask("PUT", "/api/session/password", {**change, "password": "wrong" * 3}), 401,
                 "with a wrong old one")
    expect_equal(one.ask("PUT", "/api/session/password", change), 204, "a new password")
    expect_equal((one.who(), two.who()), ("paola", 401), "who is still in")
    expect_equal(Browser(company).sign_in("paola"), 401, "the old password")
    expect_equal(Browser(company).sign_in("paola", "another good one"), 201, "the new one")
    company.cli("user", "passwd", "paola", "--password-stdin", text_in="given by the office\n")
    expect_equal(one.who(), 401, "after the office gave another")


def who_is_deactivated_is_out_at_once(company):
    add(company, "sandra")
    browser = Browser(company)
    expect_equal(browser.sign_in("sandra"), 201, "sign in")
    company.sql("UPDATE app_user SET is_active = 0 WHERE login = 'sandra'") # any program
    expect_equal(browser.who(), 401, "her session")
    expect_equal(Browser(company).sign_in("sandra"), 401, "anew")


def a_session_survives_a_restart_but_not_its_time(company):
    browser = Browser(company)
    expect_equal(browser.sign_in(), 201, "sign in")
    company.server.stop()
    company.serve("--web-idle", "1min")
    expect_equal(browser.who(), "diana", "after a restart")
    company.server.stop() # plain SQL stands in for a minute of waiting
    company.sql("UPDATE fs_web_session SET seen_at = seen_at - 61000000")
    company.serve("--web-idle", "1min")
    expect_equal(browser.who(), 401, "after a minute without a request")
    company.server.stop()
    company.serve()


def processor_seconds(company):
    """What the server has used so far: unlike the time on a clock, other programs don't change it."""
    with open("/proc/%d/stat" % company.server.pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def an_unknown_login_costs_as_much_as_a_wrong_password(company):
    company.server.stop()
    company.serve() # forgets who tried how often
    spent = {"known": 0, "unknown": 0}
    for n in range(8):
        for kind, login in (("known", "diana"), ("unknown", "nobody%d" % n)):
            before = processor_seconds(company)
            expect_equal(Browser(company).sign_in(login, "x" * 20), 401, login)
            spent[kind] += processor_seconds(company) - before
    print("eight wrong passwords %.2f s, eight unknown logins %.2f s of the processor"
          % (spent["known"], spent["unknown"]))
    expect(0.75 < spent["unknown"] / spent["known"] < 1.33, "the time tells who is known")


def guessing_is_slowed_down_and_counted(company):
    company.server.stop()
    company.serve()
    before = audited(company, "login_failed")
    found = [Browser(company).sign_in("diana", "guess number %d" % n) for n in range(14)]
    expect_equal(found, [401] * 10 + [429] * 4, "fourteen guesses")
    browser = Browser(company)
    expect_equal(browser.sign_in("diana"), 429, "the right one, too soon")
    expect(0 < int(browser.headers["Retry-After"]) <= 30, "Retry-After")
    for n in range(60): # the address has thirty tries
        Browser(company).sign_in("nobody%d" % n, "x" * 20)
    company.server.stop()
    expect(audited(company, "login_failed") - before <= 21, "lines of failed logins")
    throttled = company.query("SELECT detail FROM fs_audit WHERE event = 'login_throttled'")
    expect(any("more in that hour" in row[0] for row in throttled), "no count: %r" % throttled)
    for secret in ("guess number", PASSWORD, "nobody1"):
        found = company.value("SELECT count(*) FROM fs_audit WHERE detail LIKE ?",
                              "%" + secret + "%")
        expect_equal(found, 0, "%r in the audit log" % secret)
        expect(secret not in company.server.log(), "%r in the log" % secret)
    company.serve()
    company.cli("audit", "verify")


def the_owner_gets_in_while_others_guess(company):
    expect_equal(Browser(company).sign_in("paola", "given by the office"), 201, "from here before")
    for _ in range(30): # all tests come from one address: this one is known, and has its own tries
        Browser(company).sign_in("paola", "x" * 20)
    expect_equal(Browser(company).sign_in("paola", "given by the office"), 429, "too many of its own")


def devices_are_not_delayed_by_people_who_sign_in(company):
    anna, bruno = company.device_add("anna"), company.device_add("bruno")
    anna.run()
    bruno.run()
    company.server.stop()
    company.serve()
    anna.nudge()
    bruno.nudge()
    lib.wait_for("both devices", lambda: anna.is_live() and bruno.is_live())

    def latency(number):
        words = "change %d" % number
        begin = time.monotonic()
        anna.sql(("UPDATE site SET access_note = ? WHERE id = 1", words))
        lib.Watch(bruno.replica, "SELECT access_note FROM site WHERE id = 1").wait("bruno", words)
        return time.monotonic() - begin

    quiet = sorted(latency(n) for n in range(20))
    ends = threading.Event()

    def sign_in():
        while not ends.is_set():
            Browser(company).sign_in("diana")
            time.sleep(0.01)

    threads = [threading.Thread(target=sign_in) for _ in range(8)]
    for thread in threads:
        thread.start()
    busy = sorted(latency(100 + n) for n in range(20))
    ends.set()
    for thread in threads:
        thread.join()
    print("a change: p50 %.0f ms, with eight people signing in at once %.0f ms"
          % (quiet[10] * 1000, busy[10] * 1000))
    stories.expect_within(company, busy[10], 1.0, "a change beside Argon2id")
    expect_equal((anna.stop(), bruno.stop()), (0, 0), "the agents")


def a_restored_server_forgets_who_was_signed_in(company):
    browser = Browser(company)
    expect_equal(browser.sign_in(), 201, "sign in")
    kept = browser.cookie
    backup = os.path.join(company.folder, "backup-of-sessions")
    company.cli("backup", backup)
    expect_equal(browser.ask("DELETE", "/api/session"), 204, "sign out")
    company.server.stop()
    company.cli("restore", backup, "--yes")
    company.serve()
    browser.cookie = kept
    expect_equal(browser.who(), 401, "the cookie from before the backup")


def over_tls_the_cookie_is_for_tls_only(company):
    certificate = os.path.join(company.folder, "web.pem")
    key = os.path.join(company.folder, "web.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=office.example", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    company.server.stop()
    starts = company.server.log().count("event=serving")
    healthy, company.is_healthy = company.is_healthy, lambda: (
        company.server.log().count("event=serving") > starts)
    company.serve("--admin-certificate", certificate, "--admin-certificate-key", key,
                  "--admin-origin", "https://office.example")
    tls = ssl.create_default_context(cafile=certificate)
    tls.check_hostname = False
    browser = Browser(company, origin="https://office.example", tls=tls)
    host = {"Host": "office.example"}
    expect_equal(browser.sign_in(headers=host), 201, "sign in")
    expect(browser.cookie.startswith("__Host-"), browser.cookie)
    expect("; Secure" in browser.headers["Set-Cookie"], "not Secure")
    expect(browser.headers["Strict-Transport-Security"], "no HSTS")
    expect_equal(browser.ask("GET", "/api/session", headers=host), 200, "who")
    browser.origin = "http://office.example"
    expect_equal(browser.ask("GET", "/api/session", headers=host), 403, "the page without TLS")
    company.server.stop()
    company.is_healthy = healthy
    output = company.cli("serve", "--admin-origin", "office.example", "--admin-port", "0",
                         code=None, seconds=20)
    expect(output.code != 0 and "admin.origin" in output.err, output.err)
    company.serve()


def the_newest_root_stands_in_the_metrics(company):
    company.cli("audit", "root", "--now")
    number, root = company.query("SELECT id, root FROM fs_root ORDER BY id DESC LIMIT 1")[0]

    def shown():
        browser = Browser(company)
        browser.ask("GET", "/metrics")
        return re.search(r'audit_root_info{number="(\d+)",made_at="[^"]*",root="([0-9a-f]{16})"} 1',
                         browser.body)

    lib.wait_for("the root", lambda: shown() and int(shown()[1]) == number)
    expect_equal(shown()[2], root[:16], "the root's digits")


def wrong_codes_stand_in_the_audit_log(company):
    code = company.code("anna")
    database = sqlite3.connect(company.master, timeout=10)
    with database:
        database.execute("UPDATE fs_enrolment SET expires_at = 1")
    database.close()
    device = company.device_new("anna")
    device.cli("enrol", code, "--server", device.line.url(), code=None, seconds=60)
    lib.wait_for("the line", lambda: audited(company, "enrolment_refused") >= 1)
    detail = company.value("SELECT detail FROM fs_audit WHERE event = 'enrolment_refused'")
    expect(re.fullmatch(r"code [0-9a-f]{8}\.\.\. from 127\.0\.0\.1", detail), detail)


if __name__ == "__main__":
    stories.tell((
        who_signs_in_is_known_until_he_signs_out,
        a_change_needs_the_csrf_token_and_our_own_page,
        bad_bodies_are_refused,
        a_new_password_ends_the_other_sessions,
        who_is_deactivated_is_out_at_once,
        a_session_survives_a_restart_but_not_its_time,
        an_unknown_login_costs_as_much_as_a_wrong_password,
        guessing_is_slowed_down_and_counted,
        the_owner_gets_in_while_others_guess,
        devices_are_not_delayed_by_people_who_sign_in,
        the_newest_root_stands_in_the_metrics,
        wrong_codes_stand_in_the_audit_log,
        a_restored_server_forgets_who_was_signed_in,
        over_tls_the_cookie_is_for_tls_only,
    ), ("anna", "bruno"))
