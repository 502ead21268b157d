# SPDX-License-Identifier: Apache-2.0
"""One working day of a small service company, played with the real programs.

A technician is cut off from eight in the morning until eight in the evening. Meanwhile the office
gives one of his calls to a colleague, changes a phone number that he changes, too, and counts his
van. In the evening he gets a signal that breaks three times. Each expectation of the day is checked
where it is told; the first that fails ends the play.

The day's hours are told, not waited for: it takes some seconds. Facts that have a time of their own
(work, journeys, meals) carry yesterday's date.
"""

import datetime
import hashlib
import os
import threading
import time
from concurrent import futures

from lib import Company, Failed, Watch, expect, expect_equal, wait_for

DEMO_DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "schema", "demo",
                         "demo_data.sql")
SEEN_WITHIN_S = 1.0
OFFLINE_COMMAND_S = 1.0
PHOTO_SIZE = 3 * 1024 * 1024
LINE_RATE = 2 * 1024 * 1024 # bytes a second
PART_P, PART_Q = "FILTER-10", "BOARD-Q"
ITEM_P, ITEM_Q = 1401, 1402
BAKERY_SITE, BAKERY_CONTACT, STORE_SITE = 1201, 1301, 1203
VAN_1 = 1902
TABLES_OF_WORK = ("activity_event", "activity_result", "work_session", "part_use", "stock_move",
                  "trip", "trip_stop", "expense", "signature", "attachment", "merge_loss",
                  "review_item")


class Quiet:
    """Tells nothing."""

    def chapter(self, hour, words):
        pass

    def say(self, words):
        pass

    def listing(self, text):
        pass


def digest_of(data):
    """The name of stored bytes: BLAKE2b-256, hexadecimal."""
    return hashlib.blake2b(data, digest_size=32).hexdigest()


class Day:
    def __init__(self, company, tell=None, slack=1):
        """`slack`: how many times longer than promised things may take (programs built with
        sanitizers)."""
        self.company = company
        self.tell = tell or Quiet()
        self.slack = slack
        self.date = datetime.date.today() - datetime.timedelta(days=1)
        self.mario = self.luca = self.anna = None
        self.k1 = self.k2 = None             # numbers of the calls
        self.visit1 = self.visit2 = None     # ids of the visits
        self.photo = b""
        self.slowest_s = 0.0

    def play(self):
        self.open_company()
        self.morning()
        self.off_line()
        self.reassignment()
        self.same_field_twice()
        self.van_is_counted()
        self.evening_job()
        self.signal_comes_back()
        self.what_became_of_it()
        self.compare()

    # ---- 07:00: a company ----

    def open_company(self):
        company = self.company
        self.tell.chapter("07:00", "A server with the company's data, and three laptops")
        for login, name, roles in (
                ("mario", "Mario Conti", ["technician"]), ("luca", "Luca Ferri", ["technician"]),
                ("sara", "Sara Neri", ["technician"]),
                ("anna", "Anna Bassi", ["dispatcher", "help_desk"]),
                ("walter", "Walter Pini", ["warehouse"])):
            company.user_add(login, *roles, name=name)
        with open(DEMO_DATA, encoding="utf-8") as file:
            company.script(file.read())
        company.serve()
        self.tell.say("server ready; demo data of %d customers, %d machines came in by plain SQL"
                      % (company.value("SELECT count(*) FROM party WHERE kind = 'customer'"),
                         company.value("SELECT count(*) FROM asset")))
        with futures.ThreadPoolExecutor() as pool: # three people at once
            self.mario, self.luca, self.anna = pool.map(
                lambda options: company.device_add(*options),
                (("mario", "--van", "Van 1"), ("luca", "--van", "Van 2"), ("anna",)))
        for device in self.devices():
            device.start()
        for device in self.devices():
            device.wait_idle()
        self.tell.say("mario, luca (technicians) and anna (office) enrolled with one-time codes")

    def devices(self):
        return (self.mario, self.luca, self.anna)

    # ---- 07:15 to 07:30: two calls for Mario ----

    def open_call(self, subject, customer, site):
        return self.company.cli("call", "open", subject, "--customer", customer, "--site", site,
                                "--by", "anna", "--json").json()["number"]

    def assign(self, number, login, at_d, at):
        """Gives a call to a technician; the visit, and seconds from the commit until the row was on
        that technician's device."""
        device = {"mario": self.mario, "luca": self.luca}[login]
        statement = ("SELECT count(*) FROM activity a JOIN call c ON c.id = a.call_id JOIN app_user u"
                     " ON u.id = a.technician_id WHERE c.number_text = ? AND u.login = ?")
        there = Watch(device.replica, statement, number, login)
        here = Watch(self.company.master, statement, number, login)
        moments = {}
        watching = Watching([("device", there), ("master", here)], moments)
        self.company.cli("call", "assign", number, "--to", login, "--at", "%sT%sZ" % (at_d, at),
                         "--by", "anna")
        watching.join()
        seconds = max(0.0, moments["device"] - moments["master"])
        expect(seconds <= SEEN_WITHIN_S * self.slack,
               "%s on %s's device after %.2f s" % (number, login, seconds))
        return self.company.value("SELECT a.id FROM activity a JOIN call c ON c.id = a.call_id"
                                  " WHERE c.number_text = ?", number), seconds

    def morning(self):
        self.tell.chapter("07:15", "The office opens two calls and gives both to Mario")
        today = self.date.isoformat()
        self.k1 = self.open_call("Cold room alarm E4, dough is getting warm", "Panificio Bellini S.r.l.",
                                 "Laboratorio Sesto")
        self.visit1, seconds = self.assign(self.k1, "mario", today, "15:30")
        self.tell.say("%s, bakery, machine under contract: on Mario's laptop after %.0f ms"
                      % (self.k1, seconds * 1000))
        self.k2 = self.open_call("Cell 4 ices up, fan noisy", "Northgate Cold Storage Ltd",
                                 "Quayside store 4")
        self.visit2, seconds = self.assign(self.k2, "mario", today, "08:00")
        self.tell.say("%s, cold store: on Mario's laptop after %.0f ms" % (self.k2, seconds * 1000))
        self.company.settle(*self.devices())
        self.expect_balance(VAN_1, ITEM_P, 12)
        self.expect_balance(VAN_1, ITEM_Q, 4)
        for visit in (self.visit1, self.visit2):
            expect_equal(self.mario.value("SELECT assign_version_n FROM activity WHERE id = ?",
                                          visit), 1, "version of the assignment")
        self.tell.say("07:30 all laptops are in sync; van 1 has 12 x %s and 4 x %s"
                      % (PART_P, PART_Q))

    # ---- 08:00 to 09:00: no network ----

    def offline(self, *command):
        """A command on Mario's laptop without a network: it must not notice."""
        output = self.mario.cli(*command)
        self.slowest_s = max(self.slowest_s, output.seconds)
        expect(output.seconds <= OFFLINE_COMMAND_S * self.slack,
               "`%s` took %.2f s offline" % (" ".join(command), output.seconds))

    def off_line(self):
        self.tell.chapter("08:00", "Mario drives off: his network is gone until the evening")
        self.mario.line.cut()
        wait_for("mario to be offline", lambda: not self.mario.is_live())
        self.tell.chapter("09:00", "Mario works on %s, offline, and uses 2 x %s" % (self.k2, PART_P))
        visit, day = str(self.visit2), self.date.isoformat()
        for step in ("accept", "depart", "arrive", "start"):
            self.offline("activity", step, visit)
        self.offline("part", "use", visit, PART_P, "2")
        self.offline("work", "add", visit, "--from", day + "T07:00Z", "--to", day + "T08:10Z")
        self.offline("activity", "report", visit, "--outcome", "solved", "--text",
                     "Defrosted, filter changed twice, fan bearing greased.")
        self.offline("activity", "finish", visit)
        self.tell.say("8 commands, the slowest took %.0f ms; %d changes wait on his laptop"
                      % (self.slowest_s * 1000, self.mario.waiting_count()))

    # ---- 09:05: the office knows nothing of that ----

    def reassignment(self):
        self.tell.chapter("09:05", "The office can't reach Mario and gives %s to Luca, for tomorrow"
                          % self.k2)
        tomorrow = self.date + datetime.timedelta(days=1)
        _, seconds = self.assign(self.k2, "luca", tomorrow.isoformat(), "08:00")
        expect_equal(self.luca.value("SELECT assign_version_n FROM activity WHERE id = ?",
                                     self.visit2), 2, "version of the assignment")
        self.tell.say("on Luca's laptop after %.0f ms, as version 2" % (seconds * 1000))

    # ---- 09:30 and 10:00: both sides edit the same field ----

    def same_field_twice(self):
        self.tell.chapter("09:30", "Anna notes a new phone number of the baker, by plain SQL")
        self.anna.sql("UPDATE contact SET phone = '+39 055 000 7777' WHERE id = %d" % BAKERY_CONTACT)
        self.anna.wait_idle()
        expect_equal(self.phone_on(self.company), "+39 055 000 7777", "phone on the server")
        time.sleep(1.0) # edits are ordered by clocks, and a slow line blurs these by its delay
        self.tell.chapter("10:00", "Mario notes another one and how to get in, offline, in sqlite3")
        self.mario.sql(
            "UPDATE contact SET phone = '+39 333 000 4711' WHERE id = %d" % BAKERY_CONTACT,
            "UPDATE site SET access_note = 'citofono rotto: telefonare' WHERE id = %d" % BAKERY_SITE)
        self.tell.say("his laptop shows his number, all others show Anna's")

    @staticmethod
    def phone_on(side):
        return side.value("SELECT phone FROM contact WHERE id = ?", BAKERY_CONTACT)

    # ---- 12:00: the count ----

    def balance(self, place, item):
        return (self.company.value("SELECT sum(quantity_m) FROM stock_balance"
                                   " WHERE location_id = ? AND item_id = ?", place, item) or 0) / 1000

    def expect_balance(self, place, item, quantity):
        expect_equal(self.balance(place, item), quantity, "item %d in place %d" % (item, place))

    def loss(self, item):
        place = self.company.value("SELECT id FROM location WHERE kind = 'loss'")
        return self.balance(place, item)

    def van_is_counted(self):
        self.tell.chapter("12:00", "Walter counts van 1 at the depot; Mario's laptop is still off")
        self.company.cli("stock", "count", "Van 1", PART_P + "=9", "--by", "walter")
        known, = self.company.query("SELECT known_m FROM count_line WHERE item_id = ?", ITEM_P)[0]
        expect_equal(known, 12000, "what the books said at the count")
        self.expect_balance(VAN_1, ITEM_P, 9)
        expect_equal(self.loss(ITEM_P), 3, "lost of P")
        self.tell.say("%s: counted 9, the books said 12: 3 are missing (2 of them Mario has used)"
                      % PART_P)

    # ---- 16:40 to 19:25: the second job ----

    def evening_job(self):
        self.tell.chapter("16:40", "Mario works on %s, offline" % self.k1)
        visit, day = str(self.visit1), self.date.isoformat()
        for step in ("accept", "depart", "arrive", "start"):
            self.offline("activity", step, visit)
        self.offline("part", "use", visit, PART_Q, "2")
        self.offline("work", "add", visit, "--from", day + "T15:40Z", "--to", day + "T18:25Z",
                     "--break", "10")
        self.offline("expense", "add", visit, "meal", "12.00", "--day", day)
        self.add_trip(84000)
        self.add_photo()
        self.offline("activity", "report", visit, "--outcome", "solved", "--cause", "control board",
                     "--text", "Sostituite due schede, cella a regime. Both boards replaced.")
        self.offline("activity", "finish", visit)
        self.tell.say("2 x %s, 155 minutes, 84 km, a meal, a photo of %d MiB" %
                      (PART_Q, PHOTO_SIZE >> 20))
        self.tell.chapter("19:25", "The customer signs 255.10 on Mario's screen")
        self.offline("sign", visit, "--name", "Carla Bellini", "--role", "titolare", "--amount",
                     "255.10")
        self.tell.say("signature bound to the report's content, %d changes wait"
                      % self.mario.waiting_count())

    def add_trip(self, km_m):
        """There is no command for journeys: any program may write them."""
        begin = int(datetime.datetime(self.date.year, self.date.month, self.date.day, 14, 30,
                                      tzinfo=datetime.timezone.utc).timestamp() * 1e6)
        me = "(SELECT id FROM app_user WHERE login = 'mario')"
        self.mario.sql(
            "INSERT INTO trip (id, technician_id, started_at, ended_at, km_m, vehicle, source)"
            " VALUES ((SELECT id FROM new_id), %s, %d, %d, %d, 'FI 204 KX', 'odometer')"
            % (me, begin, begin + 70 * 60 * 10**6, km_m),
            "INSERT INTO trip_stop (id, trip_id, activity_id, technician_id)"
            " VALUES ((SELECT id FROM new_id), (SELECT max(id) FROM trip), %d, %s)"
            % (self.visit1, me))

    def add_photo(self):
        self.photo = b"\xff\xd8\xff\xe0" + os.urandom(PHOTO_SIZE - 4)
        path = os.path.join(self.company.folder, "board.jpg")
        with open(path, "wb") as file:
            file.write(self.photo)
        self.offline("photo", "add", str(self.visit1), path, "--customer")

    # ---- 20:00: forty seconds of signal ----

    def rows_of_work(self):
        return {table: self.company.value("SELECT count(*) FROM %s" % table)
                for table in TABLES_OF_WORK}

    def has_work(self):
        return self.company.value("SELECT count(*) FROM part_use") == 2

    def answer_is_lost(self):
        """The first connection breaks when the server has everything and Mario knows nothing."""
        line, mario = self.mario.line, self.mario
        waiting = mario.waiting_count()
        line.mend()
        line.delay_down_s = 0.3 # the server's answer is on its way for so long
        mario.nudge()
        wait_for("the server to have Mario's work", self.has_work)
        line.cut()
        wait_for("mario to be offline", lambda: not mario.is_live())
        expect_equal(mario.waiting_count(), waiting, "changes that wait for an answer")
        self.tell.say("cut 1: the server has stored all %d changes, its answer got lost" % waiting)

    def photo_is_cut(self, number):
        line, mario = self.mario.line, self.mario
        cuts = line.cuts
        line.mend()
        line.rate_up = LINE_RATE
        line.cut_after(PHOTO_SIZE // 3)
        mario.nudge()
        wait_for("the line to break", lambda: line.cuts > cuts)
        wait_for("mario to be offline", lambda: not mario.is_live())
        expect(not self.has_photo(), "half a photo counts as a photo")
        time.sleep(0.3) # no real signal comes back sooner
        self.tell.say("cut %d: in the middle of the photo" % number)

    def blob_path(self, digest):
        """Where the server keeps a file, once it is whole."""
        return os.path.join(self.company.data, "blobs", digest[:2], digest[2:4], digest[4:])

    def has_photo(self):
        return os.path.exists(self.blob_path(digest_of(self.photo)))

    def blob(self, digest):
        with open(self.blob_path(digest), "rb") as file:
            return file.read()

    def signal_comes_back(self):
        self.tell.chapter("20:00", "A little signal, that breaks three times")
        line = self.mario.line
        self.answer_is_lost()
        rows, sequence = self.rows_of_work(), self.sequence()
        up = line.bytes_up
        self.photo_is_cut(2)
        expect_equal(self.rows_of_work(), rows, "rows after everything was sent again")
        expect_equal(self.sequence(), sequence, "sequence number after everything was sent again")
        self.tell.say("       the whole batch came again: 0 rows changed")
        self.photo_is_cut(3)
        line.mend()
        line.rate_up = LINE_RATE
        self.mario.nudge()
        wait_for("the photo", self.has_photo)
        self.company.settle(*self.devices())
        expect(self.blob(digest_of(self.photo)) == self.photo,
               "the photo on the server is another one")
        sent = line.bytes_up - up
        expect(sent < PHOTO_SIZE * 1.15, "%d bytes for a photo of %d" % (sent, PHOTO_SIZE))
        self.tell.say("the photo is whole on the server; all three connections together sent %.0f %%"
                      " of its size" % (100 * sent / PHOTO_SIZE))

    def sequence(self):
        return self.company.value("SELECT number FROM fs_state WHERE name = 'seq'")

    # ---- what became of everything ----

    def what_became_of_it(self):
        self.tell.chapter("20:01", "What became of it")
        self.work_beats_plan()
        self.phone_and_note()
        self.counted_stays_counted()
        self.signature_holds()
        self.everything_has_a_fate()

    def work_beats_plan(self):
        state, login = self.company.query(
            "SELECT a.state, u.login FROM activity a JOIN app_user u ON u.id = a.technician_id"
            " WHERE a.id = ?", self.visit2)[0]
        expect_equal((state, login), ("done", "mario"), "the visit of the second call")
        expect_equal(self.luca.value("SELECT count(*) FROM activity WHERE id = ?", self.visit2), 0,
                     "copies of the visit on Luca's device")
        told = self.luca.value(
            "SELECT reason_text FROM review_item WHERE kind = 'notice' AND user_id ="
            " (SELECT id FROM app_user WHERE login = 'luca')")
        expect(told, "nobody told Luca")
        self.tell.say("%s is done, by Mario; Luca's copy is gone and he was told: \"%s\""
                      % (self.k2, told))

    def phone_and_note(self):
        for side in (self.company, *self.devices()):
            if side is self.luca:
                continue # not his customer
            expect_equal(self.phone_on(side), "+39 333 000 4711", "phone")
            expect_equal(side.value("SELECT access_note FROM site WHERE id = ?", BAKERY_SITE),
                         "citofono rotto: telefonare", "access note")
        lost = self.company.query(
            "SELECT m.column_name, m.kept, m.lost, u.login FROM merge_loss m"
            " JOIN app_user u ON u.id = m.user_id")
        expect_equal(lost, [("phone", "+39 333 000 4711", "+39 055 000 7777", "anna")],
                     "what was overruled")
        self.tell.say("phone: Mario's was written later and stays; Anna's is kept and shown to her;"
                      " the note came through")

    def counted_stays_counted(self):
        self.expect_balance(VAN_1, ITEM_P, 9)
        expect_equal(self.loss(ITEM_P), 1, "lost of P")
        self.expect_balance(VAN_1, ITEM_Q, 2)
        expect_equal(self.company.query(
            "SELECT item_id, sum(quantity_m) FROM stock_balance GROUP BY item_id HAVING"
            " sum(quantity_m) <> 0"), [], "parts that came from nowhere")
        self.tell.say("van 1: still 9 x %s as counted, 1 is really missing; 2 x %s left"
                      % (PART_P, PART_Q))

    def signature_holds(self):
        digest, amount, name = self.company.query(
            "SELECT document_hash, amount_cents, signer_name FROM signature")[0]
        expect_equal((amount, name), (25510, "Carla Bellini"), "what was signed")
        text = self.company.value("SELECT count(*) FROM attachment WHERE content_hash = ?", digest)
        expect_equal(text, 1, "signed reports")
        stored = self.blob(digest)
        expect_equal(digest_of(stored), digest,
                     "digest of the signed report")
        self.mario.cli("verify")
        self.tell.say("signed report: 255.10, its digest and the device's key signature hold")

    def everything_has_a_fate(self):
        fates = self.mario.cli("fate", "--all", "--json").json()
        expect(fates, "Mario's laptop knows of nothing recorded there")
        undecided = [fate for fate in fates if fate["fate"] in ("pending", "sealed", "unsendable")]
        expect_equal(undecided, [], "changes of Mario's without a fate")
        refused = [fate for fate in fates if fate["fate"] in ("refused", "parked", "gone")]
        expect_equal(refused, [], "refused changes of Mario's")
        self.tell.say("each of the %d changes of Mario's day has its fate: %s" % (
            len(fates), ", ".join(sorted({fate["fate"] for fate in fates}))))

    # ---- the end ----

    def compare(self):
        self.tell.chapter("20:02", "Server and laptops, row by row")
        for device in self.devices():
            count, lines = self.company.compare(device)
            expect(not lines, "%s's laptop differs:\n%s" % (device.login, "\n".join(lines)))
            expect(count > 30, "%s's laptop has only %d rows" % (device.login, count))
            self.tell.say("%-5s %4d rows in %2d buckets, all columns equal" % (
                device.login, count, device.value("SELECT buckets FROM fs_sync")))
        self.tell.say("server and all replicas agree row by row")
        self.tell.listing(self.company.cli("conflicts", "list").out)
        expect_equal(self.company.query("PRAGMA integrity_check"), [("ok",)], "the master's file")


class Watching:
    """Several watches at once; writes down when each became true."""

    def __init__(self, watches, moments):
        self.failures = []
        self.threads = [threading.Thread(target=self._watch, args=(name, watch, moments))
                        for name, watch in watches]
        for thread in self.threads:
            thread.start()

    def _watch(self, name, watch, moments):
        try:
            moments[name] = watch.wait(name, 1)
        except Failed as failure:
            self.failures.append(failure)

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise self.failures[0]
