# SPDX-License-Identifier: Apache-2.0
"""Who is confirmed, who is put out, and what becomes of his work: with the real programs."""

import hashlib
import json
import os
import pty
import re
import signal
import sqlite3
import stat
import time
import urllib.error
import urllib.request

import lib
import stories
from lib import expect, expect_equal

AUTHENTICATION = 6 # exit codes
TEMPORARY = 75


def replica_no(device):
    return str(device.value("SELECT number FROM fs_state WHERE name = 'replica_no'"))


def fingerprint_in(text):
    found = re.search(r"\b[0-9a-f]{4}(-[0-9a-f]{4}){3}\b", text)
    expect(found, "no fingerprint: " + text)
    return found[0]


def a_new_device_waits_until_the_office_has_compared_its_fingerprint(company):
    device = company.device_new("anna")
    code = company.code("anna", is_confirmed=False)
    output = device.cli("enrol", code, "--server", device.line.url())
    expect("waiting for confirmation" in output.out, output.out)
    shown = fingerprint_in(output.out)
    number = replica_no(device)
    expect_equal(device.value("SELECT count(*) FROM site"), 0, "sites before the confirmation")
    output = device.cli("sync", code=TEMPORARY)
    expect(shown in output.err, "sync doesn't show the fingerprint: " + output.err)
    listed = [line for line in company.cli("device", "list").out.splitlines() if shown in line]
    expect(len(listed) == 1 and "pending" in listed[0], "device list: %r" % listed)
    device.start()
    lib.wait_for("the state", lambda: device.state().get("is_pending") == "1")
    expect("waiting for confirmation, fingerprint " + shown in device.cli("status").out,
           device.cli("status").out)
    device.sql("INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
               " SELECT (SELECT id FROM new_id), 1, 1, 1, 'written while waiting'"
               " WHERE EXISTS (SELECT 1 FROM fs_state)")
    wrong = ("0" if shown[0] != "0" else "1") + shown[1:]
    expect("error" in company.cli("device", "confirm", number, wrong, code=None).err, "confirmed")
    expect_equal(company.value("SELECT is_confirmed FROM fs_replica WHERE replica_no = ?", number),
                 0, "confirmed by another fingerprint")
    expect_equal(company.value("SELECT lcn_high FROM fs_replica WHERE replica_no = ?", number), 0,
                 "what it brought while waiting")
    company.cli("device", "confirm", number, shown.upper().replace("-", " "))
    device.wait_idle()
    expect_equal(company.differences(device), [], "anna")
    expect_equal(device.stop(), 0, "its agent")


NOTE = ("INSERT INTO call_note (id, call_id, occurred_at, by_id, body) VALUES"
        " ((SELECT id FROM new_id), (SELECT min(id) FROM call), 1,"
        " (SELECT number FROM fs_state WHERE name = 'user_id'), ?)")


def noted(company, words):
    return company.value("SELECT count(*) FROM call_note WHERE body = ?", words)


PHOTO_SIZE = 700 * 1024


def take_photo(device):
    photo = os.urandom(PHOTO_SIZE)
    path = os.path.join(device.folder, "..", "pump.jpg")
    with open(path, "wb") as file:
        file.write(photo)
    device.cli("photo", "add", str(device.value("SELECT min(id) FROM activity")), path)
    os.remove(path)
    return photo


def content_of(company, content):
    name = hashlib.blake2b(content, digest_size=32).hexdigest()
    path = os.path.join(company.data, "blobs", name[:2], name[2:4], name[4:])
    with open(path, "rb") as file:
        return file.read()


def a_revoked_device_leaves_its_work_behind_and_then_wipes_itself(company):
    device = company.device_add("carla")
    number = replica_no(device)
    device.run()
    device.line.cut()
    device.sql((NOTE, "before the revocation"))
    photo = take_photo(device)
    time.sleep(0.01)
    company.cli("device", "revoke", number, "--wipe")
    time.sleep(0.01)
    device.sql((NOTE, "after the revocation"))
    key = os.path.join(device.folder, "device.key")
    expect(os.path.exists(key) and os.path.exists(device.replica), "nothing to wipe")
    device.line.mend()
    device.nudge()
    lib.wait_for("the end of the agent", lambda: not device.agent.is_running())
    expect_equal(device.agent.process.returncode, AUTHENTICATION, "its exit code")
    left = [name for name in os.listdir(device.folder)
            if name not in ("agent.log", "agent.lock", "blobs")]
    expect_equal(left, [], "what is left in the folder")
    expect_equal(noted(company, "before the revocation"), 0, "applied without anybody's word")
    expect("before the revocation" in company.cli("quarantine", "show", number).out, "not shown")
    expect("waits" in company.cli("quarantine", "list").out, "not listed")
    files = company.cli("quarantine", "files", number, "--json").json()
    expect_equal([(file["size"], file["is_here"]) for file in files], [(PHOTO_SIZE, True)],
                 "contents of attachments")
    expect_equal(content_of(company, photo), photo, "the photo that only the device had")
    out = company.cli("quarantine", "release", number).out
    expect_equal(company.value("SELECT count(*) FROM attachment WHERE content_hash = ?",
                               hashlib.blake2b(photo, digest_size=32).hexdigest()), 1, "its row")
    expect_equal(noted(company, "before the revocation"), 1, "released: " + out)
    expect_equal(noted(company, "after the revocation"), 0, "dated after the revocation: " + out)
    expect_equal(company.value("SELECT count(*) FROM review_item WHERE kind = 'refused'"
                               " AND reason_code = 'revoked'"), 1, "kept for people to see")
    expect(device.cli("run", code=None, seconds=20).code != 0, "it runs again")


def a_revoked_device_that_need_not_wipe_keeps_everything(company):
    device = company.device_add("bruno")
    number = replica_no(device)
    device.sql((NOTE, "still to be sent"))
    company.cli("device", "revoke", number)
    expect_equal(device.cli("sync", code=None).code, AUTHENTICATION, "sync")
    expect_equal(device.waiting_count(), 1, "what waits on the device")
    expect("still to be sent" in company.cli("quarantine", "show", number).out, "not deposited")
    company.cli("quarantine", "drop", number, "--yes")
    expect(company.cli("quarantine", "release", number, code=None).code != 0, "released though dropped")
    expect_equal(noted(company, "still to be sent"), 0, "applied")


def words_delivered(company, device, words):
    device.sql((NOTE, words))
    lib.wait_for("'%s'" % words, lambda: noted(company, words) == 1)


def a_device_changes_its_keys_and_works_on(company):
    device = company.device_add("anna")
    device.run()
    number = replica_no(device)
    key = os.path.join(device.folder, "device.key")
    with open(key, encoding="ascii") as file:
        before = file.read()
    shown = company.value("SELECT key_fingerprint FROM device d JOIN fs_replica r"
                          " ON r.device_id = d.id WHERE r.replica_no = ?", number)
    company.cli("device", "rotate", number)
    device.line.drop() # it is told with its next WELCOME
    lib.wait_for("new keys", lambda: company.value(
        "SELECT keys_changed_at FROM fs_replica WHERE replica_no = ?", number) is not None)
    words_delivered(company, device, "with new keys")
    with open(key, encoding="ascii") as file:
        expect(file.read() != before, "the key file is as it was")
    with open(key + ".previous", encoding="ascii") as file:
        expect_equal(file.read(), before, "the keys before")
    expect(not os.path.exists(key + ".next"), "the next keys are still there")
    expect(shown != company.value("SELECT key_fingerprint FROM device d JOIN fs_replica r ON"
                                  " r.device_id = d.id WHERE r.replica_no = ?", number), "shown")
    device.kill()
    device.run()
    words_delivered(company, device, "after a start with them")
    expect_equal(device.stop(), 0, "its agent")


def the_server_changes_its_key_while_it_serves(company):
    device = company.device_add("anna")
    device.run()
    key = os.path.join(company.data, "keys", "server.key")
    with open(key, encoding="ascii") as file:
        oldest = file.read()
    for _ in range(2): # a device that was away through both trusts the root
        device.line.cut()
        company.cli("key", "rotate")
        company.server.signal(signal.SIGHUP)
    lib.wait_for("the new key", lambda: company.server.log().count("event=reloaded") >= 2)
    device.line.mend()
    device.nudge()
    words_delivered(company, device, "under the third server key")
    expect_equal(device.stop(), 0, "its agent")
    company.server.stop()
    with open(key, encoding="ascii") as file:
        newest = file.read()
    with open(key, "w", encoding="ascii") as file:
        file.write(oldest)
    company.serve()
    expect(device.cli("sync", code=None).code != 0, "it took an older server key")
    company.server.stop()
    with open(key, "w", encoding="ascii") as file:
        file.write(newest)
    company.serve()
    expect_equal(device.cli("sync").code, 0, "sync with the newest key")
    other = os.path.join(company.folder, "foreign")
    lib.run_program(company.server_program, "init", "--data", other)
    output = company.cli("key", "rotate", "--root-key", os.path.join(other, "keys", "root.key"),
                         code=None)
    expect(output.code != 0 and "root key" in output.err, "another company's root: " + output.err)


def the_company_changes_its_root_key(company):
    device, away = company.device_add("anna"), company.device_add("bruno")
    root = os.path.join(company.data, "keys", "root.key")
    server_key = os.path.join(company.data, "keys", "server.key")
    company.server.stop()
    with open(server_key, encoding="ascii") as file:
        before = file.read()
    company.cli("key", "change-root")
    expect(os.path.exists(root) and os.path.exists(root + ".old"), "the root keys")
    company.cli("key", "rotate") # under the new one
    company.serve()
    device.sync()
    with open(os.path.join(device.folder, "device.key"), encoding="ascii") as file:
        pinned = re.search("^root ([0-9a-f]{64})$", file.read(), re.M)[1]
    with open(os.path.join(company.data, "keys", "root.change"), encoding="ascii") as file:
        expect_equal(pinned, re.search("^root ([0-9a-f]{64})$", file.read(), re.M)[1], "root key")
    company.device_add("anna") # a new code says the new root
    company.server.stop()
    with open(server_key, encoding="ascii") as file:
        after = file.read()
    with open(server_key, "w", encoding="ascii") as file:
        file.write(before)
    company.serve()
    expect(device.cli("sync", code=None).code != 0, "a key of the old root is still good")
    company.server.stop()
    with open(server_key, "w", encoding="ascii") as file:
        file.write(after)
    company.serve()
    device.sync()
    away.sync() # it had never heard of it


def a_device_without_contact_locks_until_the_office_answers(company):
    device = company.device_add("anna")
    number = replica_no(device)
    expect_equal(device.value("SELECT number FROM fs_state WHERE name = 'lease_s'"), 30 * 86400,
                 "the lease")
    device.cli("call", "list")
    device.sql("UPDATE fs_state SET number = number - 31 * 86400000000 WHERE name = 'contact_at'")
    output = device.cli("call", "list", code=AUTHENTICATION)
    challenge = re.search(r"[0-9]{4} [0-9]{4}", output.err)
    expect(challenge, "no challenge: " + output.err)
    device.cli("status")
    answer = re.search(r"[0-9]{4} [0-9]{4}",
                       company.cli("device", "unlock", number, challenge[0]).out)[0]
    expect(device.cli("unlock", "0000 0000", code=None).code != 0, "any answer opens it")
    device.cli("unlock", answer)
    device.cli("call", "list")
    device.sql("UPDATE fs_state SET number = number - 31 * 86400000000 WHERE name = 'contact_at'")
    expect(device.cli("unlock", answer, code=None).code != 0, "an answer works twice")
    device.sync() # a contact opens it, too
    device.cli("call", "list")


def with_passphrase(device, *arguments, passphrase=None, new=None, code=0):
    """A command that gets its passphrases through pipes."""
    ends, options = [], []
    for option, words in (("--passphrase-fd", passphrase), ("--new-passphrase-fd", new)):
        if words is not None:
            read, write = os.pipe()
            os.write(write, words.encode() + b"\n")
            os.close(write)
            os.set_inheritable(read, True)
            ends.append(read)
            options += [option, str(read)]
    try:
        return lib.run_program(device.company.agent_program, *arguments, *options, "--data",
                               device.folder, code=code, pass_fds=ends)
    finally:
        for end in ends:
            os.close(end)


def keys_under_a_passphrase_open_with_it_only(company):
    device = company.device_new("anna")
    with_passphrase(device, "enrol", company.code("anna"), "--server", device.line.url(),
                    "--protect", new="horse battery staple")
    key = os.path.join(device.folder, "device.key")
    with open(key, encoding="ascii") as file:
        expect("noise" not in file.read(), "the key is readable")
    expect(with_passphrase(device, "sync", code=None).code != 0, "it needs no passphrase")
    expect(with_passphrase(device, "sync", passphrase="horse battery stapl", code=None).code != 0,
           "another passphrase opens it")
    with_passphrase(device, "sync", passphrase="horse battery staple")
    device.cli("call", "list") # the replica isn't under it
    with_passphrase(device, "passphrase", passphrase="horse battery staple", new="another one 77")
    with_passphrase(device, "sync", passphrase="another one 77")
    with_passphrase(device, "passphrase", "--remove", passphrase="another one 77")
    device.sync()


def server_with(company, *arguments, code=0, env=None, **passphrases):
    """A command of the server that gets passphrases through pipes: passphrase=..., new=..."""
    ends, options = [], []
    for name, option in (("passphrase", "--passphrase-fd"), ("new", "--new-passphrase-fd")):
        if name in passphrases:
            read, write = os.pipe()
            os.write(write, passphrases[name].encode() + b"\n")
            os.close(write)
            os.set_inheritable(read, True)
            ends.append(read)
            options += [option, str(read)]
    try:
        return lib.run_program(company.server_program, *arguments, *options, "--data", company.data,
                               code=code, pass_fds=ends, env=env, seconds=30)
    finally:
        for end in ends:
            os.close(end)


def at_terminal(answer, *command):
    """Runs a command at a terminal of its own that answers its question; its exit status."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    said = b""
    try:
        while b"Passphrase" not in said:
            said += os.read(terminal, 1024)
        os.write(terminal, answer.encode() + b"\n")
        while True:
            said += os.read(terminal, 1024) # ends with an error when the command has ended
    except OSError:
        pass
    os.close(terminal)
    expect(answer.encode() not in said, "the terminal shows it")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def the_server_key_may_be_under_a_passphrase(company):
    device = company.device_add("anna")
    key = os.path.join(company.data, "keys", "server.key")
    passphrase = os.path.join(company.folder, "passphrase")
    company.server.stop()
    expect("10" in server_with(company, "key", "protect", new="short", code=None).err, "too short")
    with open(key, encoding="ascii") as file:
        before = file.read()
    server_with(company, "key", "protect", new="horse battery staple")
    with open(key, encoding="ascii") as file:
        sealed = file.read()
    values = re.findall("[0-9a-f]{64,}", before)
    expect(len(values) >= 3 and not any(value in sealed for value in values), "it is readable")
    start = ("serve", "--listen-port", "0", "--admin-port", "0")
    output = server_with(company, *start, code=None)
    expect(output.code != 0 and "keys.passphrase_file" in output.err, "no way out: " + output.err)
    output = server_with(company, *start, code=None, passphrase="horse battery stapl")
    expect(output.code != 0 and "passphrase" in output.err, "another passphrase: " + output.err)
    with open(passphrase, "w", encoding="ascii") as file:
        file.write("horse battery staple\n")
    os.chmod(passphrase, 0o644)
    output = server_with(company, *start, "--keys-passphrase-file", passphrase, code=None)
    expect(output.code != 0 and "chmod 600" in output.err, "for everybody to read: " + output.err)
    os.chmod(passphrase, 0o600)
    company.serve("--keys-passphrase-file", passphrase)
    device.sync()
    device_two = company.device_add("bruno") # a code needs no passphrase
    server_with(company, "key", "rotate", passphrase="horse battery staple")
    company.server.signal(signal.SIGHUP) # nobody is asked again
    lib.wait_for("the new key", lambda: "event=reloaded" in company.server.log())
    device.sync()
    with open("/proc/%d/cmdline" % company.server.pid, "rb") as words:
        expect(b"horse" not in words.read(), "the passphrase is on the command line")
    expect("horse battery" not in company.server.log(), "the passphrase is in the log")
    company.server.stop()
    credentials = os.path.join(company.folder, "credentials")
    os.makedirs(credentials)
    os.rename(passphrase, os.path.join(credentials, "fieldsync-passphrase"))
    os.environ["CREDENTIALS_DIRECTORY"] = credentials # as systemd's LoadCredential= does
    try:
        company.serve()
    finally:
        del os.environ["CREDENTIALS_DIRECTORY"]
    device_two.sync()
    company.server.stop()
    server_with(company, "key", "protect", passphrase="horse battery staple", new="another one 77")
    expect(server_with(company, "key", "unprotect", passphrase="horse battery staple",
                       code=None).code != 0, "the one before opens it")
    expect_equal(at_terminal("another one 77", company.server_program, "key", "unprotect", "--data",
                             company.data), 0, "unprotect at a terminal")
    expect(not os.path.exists(os.path.join(company.data, "keys", "root.public")), "root.public")
    company.serve()
    device.sync()


def a_page_of_somebody_else_reads_no_figures(company):
    url = "http://127.0.0.1:%d/metrics" % company.admin_port
    for headers, wanted in (({}, 200), ({"Host": "evil.example"}, 403),
                            ({"Origin": "http://evil.example"}, 403)):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers),
                                        timeout=10) as answer:
                found = answer.status
        except urllib.error.HTTPError as error:
            found = error.code
        expect_equal(found, wanted, "/metrics with %r" % headers)
    output = company.cli("serve", "--admin-address", "0.0.0.0", "--admin-port", "0",
                         "--listen-port", "0", code=None, seconds=20)
    expect(output.code != 0, "figures for everybody")


def asks(port, headers, path="/api/status", method="GET"):
    """Status and body of one request to a local port."""
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (port, path), headers=headers,
                                     method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def an_agent_answers_only_who_may_read_its_folder(company):
    device = company.device_add("anna")
    port = lib.free_port()
    token_path = os.path.join(device.folder, "http.token")
    device.run()
    expect(not os.path.exists(token_path), "a token though nothing listens")
    expect_equal(device.stop(), 0, "its agent")
    device.run("--http-listen", "127.0.0.1:%d" % port)
    lib.wait_for("the token", lambda: os.path.exists(token_path))
    expect_equal(stat.S_IMODE(os.stat(token_path).st_mode), 0o600, "mode of the token")
    with open(token_path, encoding="ascii") as file:
        token = file.read()
    bearer = {"Authorization": "Bearer " + token}
    lib.wait_for("the port", lambda: asks(port, bearer)[0] == 200)
    found = json.loads(asks(port, bearer)[1])
    said = json.loads(device.cli("status", "--json").out)
    expect_equal(set(found), set(said), "what both say")
    expect_equal((found["user"], found["is_running"], found["unsent"]), ("anna", True, 0), "status")
    for headers in ({}, {"Authorization": "Bearer " + token[:-1]}, {"Authorization": token},
                    {"Authorization": "Bearer " + "0" * 64}, {"Cookie": "token=" + token},
                    {**bearer, "Host": "evil.example"}, {**bearer, "Origin": "http://evil.example"},
                    {**bearer, "Origin": "null"},
                    {**bearer, "Origin": "http://127.0.0.1:%d" % port}):
        expect_equal(asks(port, headers)[0], 403, "with %r" % headers)
    expect_equal(asks(port, {}, "/api/status?token=" + token)[0], 403, "in the query")
    expect_equal(asks(port, bearer, "/other")[0], 404, "another path")
    expect_equal(asks(port, bearer, method="DELETE")[0], 405, "another method")
    expect_equal(device.stop(), 0, "its agent")
    expect(not os.path.exists(token_path), "the token outlives the agent")
    path = os.path.join(device.folder, "agent.conf")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
        file.write("[http]\nlisten = 127.0.0.1:%d\n" % port)
    device.run()
    lib.wait_for("the port", lambda: os.path.exists(token_path))
    with open(token_path, encoding="ascii") as file:
        expect(file.read() != token, "the token is the one before")
    expect_equal(asks(port, bearer)[0], 403, "with the token of an earlier start")
    expect_equal(device.stop(), 0, "its agent")
    for wrong in ("0.0.0.0:%d" % port, "127.0.0.1", "192.0.2.1:80", "127.0.0.1:x"):
        output = device.cli("run", "--http-listen", wrong, code=None, seconds=20)
        expect(output.code != 0 and "http.listen" in output.err, wrong + ": " + output.err)


def secrets_of(company):
    """Every secret of all devices and of the server, as hex and as it would stand in a text."""
    secrets = set()
    database = sqlite3.connect("file:%s?mode=ro" % company.master, uri=True)
    for row in database.execute("SELECT psk, next_psk, token_current, token_previous FROM"
                                " fs_replica UNION ALL SELECT secret, NULL, NULL, NULL FROM"
                                " fs_enrolment"):
        secrets.update(value.hex() for value in row if value)
    database.close()
    for folder, _, names in os.walk(company.folder):
        for name in names:
            if ".key" in name:
                with open(os.path.join(folder, name), encoding="ascii") as file:
                    secrets.update(re.findall(r"^(?:noise|sign|psk) ([0-9a-f]{64})$", file.read(),
                                              re.M))
    return secrets


def no_secret_stands_in_any_log_and_all_files_are_private(company):
    company.server.stop()
    company.serve("--log-level", "debug") # everything that can be said
    device = company.device_new("anna")
    said = device.cli("enrol", company.code("anna"), "--server", device.line.url(), "--verbose").err
    company.cli("device", "rotate", replica_no(device))
    for _ in range(3):
        said += device.cli("sync", "--verbose").err
    expect("NEW_KEY" in said and "NEW_KEY" in company.server.log(), "nothing is said")
    secrets = secrets_of(company)
    expect(len(secrets) > 20, "only %d secrets were found" % len(secrets))
    logs = {program.log_path for program in company.programs}
    text = said.encode()
    for path in logs:
        with open(path, "rb") as log:
            text += log.read()
    expect(len(text) > 1000, "no logs")
    for secret in secrets:
        for form in (secret.encode(), secret.upper().encode(), bytes.fromhex(secret)):
            expect(form not in text, "a secret stands in a log")
    expect(b"fs1:" not in text, "an enrolment code stands in a log")
    for root in [company.data] + [device.folder for device in company.devices]:
        for folder, _, names in os.walk(root):
            for name in names:
                mode = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
                is_private = mode & 0o077 == 0 or name in ("agent.log", "sync-now") # of this test
                expect(is_private, "%s/%s has mode %o" % (folder, name, mode))


def nothing_is_dumped_when_a_program_crashes(company):
    device = company.device_add("anna")
    device.run()
    for program in (company.server, device.agent):
        with open("/proc/%d/limits" % program.pid, encoding="ascii") as limits:
            line = next(line for line in limits if line.startswith("Max core file size"))
        expect(re.search(r"size +0 +0 ", line), line)
        with open("/proc/%d/cmdline" % program.pid, "rb") as words:
            expect(b"fs1:" not in words.read(), "a code stands on a command line")
    expect_equal(device.stop(), 0, "its agent")


if __name__ == "__main__":
    stories.tell((
        a_new_device_waits_until_the_office_has_compared_its_fingerprint,
        a_revoked_device_leaves_its_work_behind_and_then_wipes_itself,
        a_revoked_device_that_need_not_wipe_keeps_everything,
        a_device_changes_its_keys_and_works_on,
        the_server_changes_its_key_while_it_serves,
        the_company_changes_its_root_key,
        a_device_without_contact_locks_until_the_office_answers,
        keys_under_a_passphrase_open_with_it_only,
        the_server_key_may_be_under_a_passphrase,
        a_page_of_somebody_else_reads_no_figures,
        an_agent_answers_only_who_may_read_its_folder,
        nothing_is_dumped_when_a_program_crashes,
        no_secret_stands_in_any_log_and_all_files_are_private,
    ), ("anna", "bruno", "carla"))
