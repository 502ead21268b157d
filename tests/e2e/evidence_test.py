# SPDX-License-Identifier: Apache-2.0
"""A report is signed without a network; whatever happens to its rows afterwards shows."""

import json
import os
import stat

import lib
import small_company
import stories
from lib import expect, expect_equal

FAILURE = 1 # exit code


def anna_of(company):
    return company.devices[0] if company.devices else company.device_add("anna")


def verify(company, code=0):
    return company.cli("report", "verify", code=code).out


def exported(company):
    return json.loads(company.cli("report", "export").out)


def checked_alone(company, reports, *options, code=0):
    """With a file and nothing else: no data folder, no database."""
    path = os.path.join(company.folder, "export.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(reports, file, ensure_ascii=False)
    return lib.run_program(os.path.join(company.build, "fieldsync-server"), "verify", path,
                           *options, code=code).out


def a_report_is_signed_without_a_network(company):
    anna = anna_of(company)
    company.server.stop()
    visit = str(small_company.visit_of(company, "anna"))
    for words in (("accept",), ("depart",), ("arrive",), ("start",)):
        anna.cli("activity", *words, visit)
    anna.cli("part", "use", visit, "P", "2")
    anna.cli("activity", "report", visit, "--outcome", "solved", "--text", "seal replaced")
    anna.cli("sign", visit, "--name", "Maria Però", "--role", "titolare", "--amount", "255.10",
             "--language", "it")
    expect("no receipt yet" in anna.cli("verify").out, "a receipt without a server")


def the_servers_receipt_comes_back_to_the_device(company):
    anna = anna_of(company)
    company.serve()
    lib.wait_for("the receipt", lambda: anna.sync() and anna.value(
        "SELECT count(*) FROM report_receipt") == 1, seconds=60)
    expect_equal(anna.value("SELECT finding FROM report_receipt"), "good", "finding")
    expect("the server had it" in anna.cli("verify").out, "no word of the receipt")
    expect("1 signatures, 0 not good" in verify(company), "the server's view")
    expect_equal(company.value("SELECT count(*) FROM review_item WHERE reason_code LIKE 'seal%'"),
                 0, "questions")
    key_file = os.path.join(company.data, "keys", "report.key")
    expect_equal(stat.S_IMODE(os.stat(key_file).st_mode), 0o600, "rights of the report key")


def an_export_and_the_public_key_are_enough_to_verify(company):
    reports = exported(company)
    key = company.cli("report", "key").out.strip()
    lib.wait_for("the signed text", lambda: exported(company)[0]["text"] is not None)
    reports = exported(company)
    expect("Panificio Bianchi" in reports[0]["text"], "the text that was signed")
    expect("good" in checked_alone(company, reports, "--key", key), "the export")
    for member, value in (("signer_name", "Maria Rossi"), ("amount_cents", 1), ("text", "x\n"),
                          ("sealed", reports[0]["sealed"].replace("version 1", "version 2")),
                          ("receipt_received_at", 5), ("key_signature", "00" * 64),
                          ("strokes", None)):
        forged = [dict(reports[0], **{member: value})]
        expect("NOT GOOD" in checked_alone(company, forged, code=FAILURE), member)
    foreign = checked_alone(company, reports, "--key", "00" * 32, code=FAILURE)
    expect("another key" in foreign, "a receipt of somebody else's server")
    path = os.path.join(company.folder, "no.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[{\"sealed\": 5}]")
    output = lib.run_program(os.path.join(company.build, "fieldsync-server"), "verify", path,
                             code=FAILURE)
    expect("no export of signed reports" in output.err, output.err)


def what_changes_after_the_signature_is_named_on_both_sides(company):
    anna = anna_of(company)
    visit = str(small_company.visit_of(company, "anna"))
    anna.cli("part", "use", visit, "Q", "1")
    out = anna.cli("verify", code=FAILURE).out
    expect("+ part " in out and " Q 1000" in out, out)
    anna.sync()
    lib.wait_for("the part", lambda: company.value("SELECT count(*) FROM part_use") == 2)
    out = verify(company, code=FAILURE)
    expect("+ part " in out and " Q 1000" in out and "- part" not in out, out)
    anna.cli("sign", visit, "--name", "Maria Però")
    anna.sync()
    lib.wait_for("the second receipt", lambda: company.value(
        "SELECT count(*) FROM report_receipt WHERE finding = 'good'") == 2)
    expect("2 signatures, 1 not good" in verify(company, code=FAILURE), "both versions stay")
    versions = anna.query("SELECT version_n FROM signature ORDER BY id")
    expect_equal(versions, [(1,), (2,)], "versions")


def who_changes_the_masters_rows_with_sql_is_contradicted(company):
    second = company.value("SELECT max(id) FROM signature")
    company.sql("UPDATE part_use SET used_m = 1000 WHERE used_m = 2000")
    out = company.cli("report", "verify", str(second), code=FAILURE).out
    expect("- part " in out and " P 2000" in out and " P 1000" in out, out)
    company.sql("UPDATE part_use SET used_m = 2000 WHERE used_m = 1000 AND item_id = 1")
    company.cli("report", "verify", str(second))
    company.sql("UPDATE signature SET signer_name = 'Tom' WHERE id = %d" % second)
    out = company.cli("report", "verify", str(second), code=FAILURE).out
    expect("! the signer's name is not what was signed" in out, out)
    expect("NOT GOOD" in checked_alone(company, exported(company), code=FAILURE), "the export")


def audited(company):
    return company.cli("audit", "verify", "--copy", os.path.join(company.data, "audit.log"),
                       "--key", company.cli("report", "key").out.strip())


def the_audit_log_has_a_second_copy_and_signed_roots(company):
    events = {row[0] for row in company.query("SELECT DISTINCT event FROM fs_audit")}
    expect({"rights_changed", "code_created", "enrolled", "receipt", "exported"} <= events, events)
    company.cli("audit", "root", "--now")
    expect_equal(company.value("SELECT count(*) FROM fs_root"), 1, "roots")
    path = os.path.join(company.data, "audit.log")
    lib.wait_for("the copy", lambda: sum(1 for _ in open(path, "rb"))
                 == company.value("SELECT count(*) FROM fs_audit"))
    expect_equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "rights of the copy")
    expect("ok: " in audited(company).out, "the audit log")
    expect("signed roots" in company.cli("check").out, "check says nothing of the log")


def who_changes_the_audit_log_is_seen(company):
    company.server.stop()
    keep = company.query("SELECT id, detail FROM fs_audit WHERE event = 'enrolled'")[0]
    force(company, "UPDATE fs_audit SET detail = 'nobody' WHERE id = %d" % keep[0])
    for words in (("audit", "verify"), ("check",)):
        output = company.cli(*words, code=None)
        expect(output.code != 0 and "line %d does not follow" % keep[0] in output.out, output.out)
    force(company, "UPDATE fs_audit SET detail = %s WHERE id = %d" % (
        "NULL" if keep[1] is None else "'%s'" % keep[1], keep[0]))
    audited(company)
    company.serve()


def force(company, statement):
    """As the owner of the file may, around the trigger that says no to everybody else."""
    trigger = company.value("SELECT sql FROM sqlite_schema WHERE name = 'fs_audit_changed'")
    company.sql("DROP TRIGGER fs_audit_changed", statement, trigger)


def files_of(folder, content):
    """The files of attachments, whole or not, that hold this."""
    found = []
    for base, _, names in os.walk(os.path.join(folder, "blobs")):
        for name in names:
            with open(os.path.join(base, name), "rb") as file:
                if file.read() == content:
                    found.append(os.path.join(base, name))
    return found


def an_erased_customer_is_gone_everywhere_and_the_chain_holds(company):
    anna = anna_of(company)
    photo = os.path.join(company.folder, "oven.jpg")
    content = os.urandom(100000)
    with open(photo, "wb") as file:
        file.write(content)
    anna.cli("photo", "add", str(small_company.visit_of(company, "anna")), photo)
    lib.wait_for("the photo on the server", lambda: anna.sync() and files_of(company.data, content))
    expect(files_of(anna.folder, content), "the photo isn't on the device")
    plan = company.cli("customer", "erase", "1").out
    expect("Nothing was changed" in plan and "signature" in plan and "contact" in plan, plan)
    expect_equal(company.value("SELECT name FROM party WHERE id = 1"), "Panificio Bianchi", "name")
    expect_equal(company.cli("customer", "erase", "77", code=FAILURE).out, "", "nobody's erasure")
    company.cli("customer", "erase", "1", "--yes")
    expect_equal(company.value("SELECT name FROM party WHERE id = 1"), "(erased)", "name")
    expect_equal(company.value("SELECT count(*) FROM report_seal WHERE salt IS NOT NULL"), 0, "salts")
    status = company.cli("customer", "status", "--json").json()
    expect_equal((status[0]["confirmed"], status[0]["open"]), (0, 1), "before the device knows")
    anna.sync()
    anna.sync() # at the latest the next session says what the one before has published
    lib.wait_for("the device's word", lambda: company.cli(
        "customer", "status", "--json").json()[0]["confirmed"] == 1)
    expect_equal(anna.value("SELECT group_concat(DISTINCT signer_name) FROM signature"), "(erased)",
                 "names on the device")
    lib.wait_for("the end of the photo on the device",
                 lambda: anna.sync() and not files_of(anna.folder, content))
    expect(not files_of(company.data, content), "the photo is still on the server")
    for path in (anna.replica, anna.replica + "-wal"):
        if os.path.exists(path):
            with open(path, "rb") as file:
                expect("Panificio Bianchi".encode() not in file.read(), "the name is in " + path)
    out = verify(company)
    expect("erased on 20" in out and "2 signatures, 0 not good" in out, out)
    expect("the content was erased" in anna.cli("verify").out, "the device's view")
    expect("its content was erased" in checked_alone(company, exported(company)), "the export")
    company.server.stop()
    company.cli("customer", "erase", "1", "--yes")
    for name in ("fieldsync.db", "fieldsync.db-wal"):
        path = os.path.join(company.data, name)
        if os.path.exists(path):
            with open(path, "rb") as file:
                content = file.read()
            for words in ("Maria Però", "Panificio Bianchi", "seal replaced"):
                expect(words.encode() not in content, words + " is still in " + name)
    found = [name for folder, _, names in os.walk(os.path.join(company.data, "blobs"))
             for name in names if b"Maria" in open(os.path.join(folder, name), "rb").read()]
    expect_equal(found, [], "files with the name")
    company.serve()
    company.cli("check")
    anna.sync()
    expect_equal(company.differences(anna), [], "rows that differ")


if __name__ == "__main__":
    stories.tell((a_report_is_signed_without_a_network,
                  the_servers_receipt_comes_back_to_the_device,
                  an_export_and_the_public_key_are_enough_to_verify,
                  what_changes_after_the_signature_is_named_on_both_sides,
                  who_changes_the_masters_rows_with_sql_is_contradicted,
                  the_audit_log_has_a_second_copy_and_signed_roots,
                  who_changes_the_audit_log_is_seen,
                  an_erased_customer_is_gone_everywhere_and_the_chain_holds), ("anna",))
