# SPDX-License-Identifier: Apache-2.0
"""The nothing-lost receipt: what became of each change, on the device and at the office, in the words
and the language of whoever reads it; and a value that lost is put back."""

import lib
import small_company
import stories
from lib import expect, expect_equal

ITALIAN = {"LC_ALL": "it_IT.UTF-8"}
PHONE = "SELECT phone FROM contact WHERE id = %d" % small_company.SHARED_CONTACT


def two_people_edit_one_phone_and_the_earlier_edit_loses(company):
    anna, bruno = [company.device_add(login) for login in ("anna", "bruno")]
    for device in (anna, bruno):
        device.run()
        device.line.cut()
    anna.sql(("UPDATE contact SET phone = '0432 111' WHERE id = ?", small_company.SHARED_CONTACT))
    bruno.sql(("UPDATE contact SET phone = '0432 222' WHERE id = ?", small_company.SHARED_CONTACT))
    anna.sql(("UPDATE site SET access_note = 'ring twice' WHERE id = 1",))
    for device in (bruno, anna): # the later edit arrives first
        device.line.mend()
        device.wait_idle()
    company.settle(anna, bruno)
    expect_equal(anna.value(PHONE), "0432 222", "the phone")


def its_author_reads_what_became_of_it_and_who_overruled_it(company):
    anna = company.devices[0]
    fates = anna.cli("fate", "--json").json()
    expect_equal([(fate["table"], fate["fate"], fate["by"], fate["reason"]) for fate in fates],
                 [("contact", "overruled", "Bruno", "older_edit")], "the exceptions")
    everything = anna.cli("fate", "--all", "--json").json()
    expect_equal(sorted(fate["fate"] for fate in everything), ["applied", "overruled"], "all fates")
    expect("1 stored, 0 merged, 1 overruled" in anna.cli("fate").out, anna.cli("fate").out)
    expect("Someone changed the same field later" in anna.cli("fate").out, "words in English")
    expect("Qualcuno ha cambiato lo stesso campo" in anna.cli("fate", env=ITALIAN).out,
           "words in Italian")
    expect_equal(anna.cli("fate", "--all", "--since", "2030-01-01T00:00Z", "--json").json(), [],
                 "since a time to come")


def the_inbox_shows_both_values_and_puts_the_lost_one_back(company):
    anna, bruno = company.devices
    lost = anna.cli("inbox", "list", "--json").json()
    expect_equal([(each["mine"], each["kept"], each["by"], bool(each["device"])) for each in lost],
                 [("0432 111", "0432 222", "Bruno", True)], "the inbox")
    expect("Qualcuno ha cambiato" in anna.cli("inbox", "list", env=ITALIAN).out, "Italian")
    anna.cli("inbox", "reapply", str(lost[0]["id"]))
    anna.wait_idle()
    company.settle(anna, bruno)
    for device in (anna, bruno):
        expect_equal(device.value(PHONE), "0432 111", device.login)
    expect_equal(anna.cli("inbox", "list", "--json").json(), [], "the inbox")


def the_office_sees_the_same_of_each_device(company):
    fates = company.cli("fate", "anna", "--json").json()
    expect_equal([(fate["table"], fate["fate"], fate["by"], fate["state"]) for fate in fates],
                 [("contact", "overruled", "bruno", "reapplied")], "anna's exceptions")
    expect_equal(company.cli("fate", "bruno", "--json").json(), [], "bruno's exceptions")
    words = company.cli("fate", "anna", env=ITALIAN).out
    expect("Qualcuno ha cambiato" in words and "is answered" in words, words)
    refused = company.cli("fate", "nobody", code=None)
    expect(refused.code != 0 and "device list" in refused.err, refused.err)


def all_of_them_end_well(company):
    for device in company.devices:
        expect_equal(device.stop(), 0, device.login)
    expect_equal(company.server.stop(), 0, "the server")


if __name__ == "__main__":
    stories.tell((two_people_edit_one_phone_and_the_earlier_edit_loses,
                  its_author_reads_what_became_of_it_and_who_overruled_it,
                  the_inbox_shows_both_values_and_puts_the_lost_one_back,
                  the_office_sees_the_same_of_each_device, all_of_them_end_well),
                 ("anna", "bruno"))
